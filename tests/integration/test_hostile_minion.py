"""A real master and two real minions, one of them taken over: it neither speaks for the other, nor learns its secrets."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import salt.utils.event
from integration.application_master import NoCloud
from integration.hostile_minion import FORMS, LIE
from integration.integration_master import IntegrationMaster

from bench.ports import free_port
from saltlick.commands.context import MasterPorts, master_ports
from saltlick.fleet.ports import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).resolve().parents[2]
HONEST, HOSTILE = "prod-db-1", "test-app-1"
LIES = 3 * len(FORMS)
"""So many messages it sends for one job."""
NEEDLE = "n33dle-of-prod"
LIED = str(LIE["last"])
ADDRESS = "sdb://vault/SALTLICK_TEST_NEEDLE"
OVERRIDES = {
    "auto_accept": True,
    "interface": "127.0.0.1",
    "signing_algorithm": "PKCS1v15-SHA224",
    "publish_signing_algorithm": "PKCS1v15-SHA224",
    "module_dirs": [str(CHECKOUT)],
    "worker_threads": 3,
    "timeout": 15,
    "vault": {"driver": "env"},
    "log_level_logfile": "warning",
}


@pytest.fixture(scope="module")
def master(salt_factories: Any) -> Iterator[IntegrationMaster]:
    folder = Path(tempfile.mkdtemp(prefix="salt-host-"))
    ports = {"publish_port": free_port(), "ret_port": free_port()}
    daemon = salt_factories.salt_master_daemon("hostile-master", overrides={**OVERRIDES, **ports})
    with daemon.started(start_timeout=180):
        made = IntegrationMaster(daemon, NoCloud(), folder)
        try:
            start(made, HONEST)
            start(made, HOSTILE, hostile=True)
            made.eventually(lambda: made.answers(HONEST, HOSTILE), "both minions")
            yield made
        finally:
            for minion in made.minions.values():
                minion.kill()
            shutil.rmtree(folder, ignore_errors=True)


def start(master: IntegrationMaster, name: str, *, hostile: bool = False) -> None:
    minion = master.minion(name)
    config = minion.folder / "minion"
    own = {"module_dirs": [str(CHECKOUT)], "saltlick_jobs_dir": str(minion.folder / "jobs"), "zmq_filtering": False}
    if hostile:
        own |= {"hostile_log": str(heard(master)), "hostile_victim": HONEST}
    config.write_text(json.dumps({**json.loads(config.read_text()), **own}))
    if not hostile:
        minion.start()
        return
    script = Path(__file__).with_name("hostile_minion.py")
    with (minion.folder / "output").open("ab") as output:
        command = [sys.executable, str(script), "-c", str(minion.folder)]
        minion.processes.append(
            subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        )


def heard(master: IntegrationMaster) -> Path:
    """What the hostile minion read on the bus."""
    return master.folder / "heard"


def forged(master: IntegrationMaster) -> list[list[str]]:
    """What it sent: job, form, outcome."""
    return [line.split(" ", 2) for line in Path(f"{heard(master)}.forged").read_text().splitlines()]


@pytest.fixture
def ports(master: IntegrationMaster, monkeypatch: pytest.MonkeyPatch) -> Iterator[MasterPorts]:
    monkeypatch.setenv("SALTLICK_TEST_NEEDLE", NEEDLE)
    with master_ports(dict(master.daemon.config)) as made:
        yield made


def ask(ports: MasterPorts, call: Call, server: str = HONEST) -> Reply:
    return ports.fleet.run({server: call}, deadline_s=60)[server]


def test_an_honest_server_is_heard_and_its_failures_are_its_own(ports: MasterPorts) -> None:
    assert ask(ports, Call("test.echo", ("x",))).value == "x"
    assert ask(ports, Call("test.not_there")).error == "'test.not_there' is not available."
    failed = ask(ports, Call("cmd.run_all", kwargs={"cmd": "echo no; exit 3"}))
    assert (failed.ok, failed.error) == (False, "cmd.run_all: exit code 3: no")


def test_no_form_of_event_speaks_for_another_server(master: IntegrationMaster, ports: MasterPorts) -> None:
    """The server takes its time, so each lie is there before its answer: none of them is taken."""
    master.eventually(lambda: len(forged(master)) % LIES == 0, "the end of what it sent before")
    before = len(forged(master))
    slow = Call("health.command", ("sleep 6; exit 1",), {"timeout_s": 20, "deadline_s": 7})
    config = master.daemon.config
    with salt.utils.event.get_event("master", config["sock_dir"], opts=dict(config), listen=True) as bus:
        reply = ask(ports, slow)
        seen = [event["data"] for event in iter(lambda: bus.get_event(wait=0.1, tag="salt/job", full=True), None)]
    master.eventually(lambda: len(forged(master)) >= before + LIES, "all of its lies")
    sent = forged(master)[before:]
    assert {form for _, form, _ in sent} == set(FORMS)
    lies = [content for content in seen if isinstance(content, dict) and LIED in json.dumps(content, default=repr)]
    assert len(lies) >= 3, "the master let none of them onto its bus: this shows nothing"
    assert not reply.ok, reply
    assert "not healthy" in reply.error
    assert LIED not in f"{reply}"


def test_no_form_of_event_lets_a_dead_server_live(master: IntegrationMaster, ports: MasterPorts) -> None:
    master.minions[HONEST].kill()
    try:
        reply = ask(ports, Call("health.http", ("http://127.0.0.1:1/",)))
    finally:
        start_again(master)
    assert (reply.ok, reply.silent) == (False, True), reply
    assert "what came in its name was refused" in reply.error


def start_again(master: IntegrationMaster) -> None:
    master.minions[HONEST].start()
    master.eventually(lambda: master.answers(HONEST), "the honest minion again")


def test_a_secret_of_a_step_reaches_its_server_and_nobody_else(
    master: IntegrationMaster, ports: MasterPorts, tmp_path: Path
) -> None:
    """The hostile minion reads every job; the job cache, the bus and what is returned have no needle either."""
    config, path = master.daemon.config, tmp_path / "secret"
    env = {"env": {"TOKEN": ADDRESS}, "python_shell": True}
    calls = (
        Call(
            "cmd.run_all",
            kwargs={"cmd": f'printf %s "$TOKEN" > {path}; echo "$TOKEN"; tr "\\0" " " < /proc/$$/cmdline', **env},
        ),
        Call("test.echo", (ADDRESS,)),
        Call("detached.start", ("needle", "cmd.run_all"), {"kwargs": {"cmd": 'echo "it is $TOKEN"; sleep 1', **env}}),
        Call("cmd.run_all", kwargs={"cmd": "sleep 2"}),
        Call("detached.status", ("needle",)),
    )
    with salt.utils.event.get_event("master", config["sock_dir"], opts=dict(config), listen=True) as bus:
        replies = [ask(ports, call) for call in calls]
        events = list(iter(lambda: bus.get_event(wait=0.1, tag="", full=True), None))
    assert all(reply.ok for reply in replies), replies
    assert path.read_text() == NEEDLE
    assert replies[0].value["stdout"].startswith(ADDRESS)
    assert replies[4].value["state"] == "done"
    assert f"it is {ADDRESS}" in replies[4].value["output_tail"]
    master.eventually(lambda: "detached.status" in heard(master).read_text(), "the job in what the hostile minion read")
    jobs = heard(master).read_text()
    assert len(events) > len(calls)
    for where in (jobs, repr(events), repr(replies)):
        assert NEEDLE not in where
    kept = [Path(config["cachedir"]), Path(config["log_file"]), master.minions[HOSTILE].folder]
    assert not [path for path in files(kept) if NEEDLE.encode() in path.read_bytes()]


def files(places: list[Path]) -> Iterator[Path]:
    for place in places:
        yield from (path for path in ([place] if place.is_file() else place.rglob("*")) if path.is_file())


def test_a_secret_is_for_the_server_it_was_sent_to(ports: MasterPorts, master: IntegrationMaster) -> None:
    """What was encrypted to one server is of no use to another, also when it is played to it."""
    ask(ports, Call("test.echo", (ADDRESS,)))
    travelled = re.compile(r"saltlick-sealed:sdb://\S+ \S+ [\w=-]+")
    sealed = master.eventually(lambda: travelled.search(heard(master).read_text()), "a secret as it travels")[0]
    stolen = ask(ports, Call("test.echo", (sealed,)), HOSTILE)
    assert not stolen.ok
    assert "not encrypted to this minion's key" in stolen.error
