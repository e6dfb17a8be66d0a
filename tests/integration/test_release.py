"""Releases on a real master with four real minions: forward, back, interrupted, killed; and that Salt's traps do not bite."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import salt.utils.event
from integration.application_master import ENVIRONMENT, SERVERS, ApplicationMaster, NoCloud

from bench.ports import free_port
from saltlick.commands.backup.context import backup_context
from saltlick.commands.environment.admission import ping
from saltlick.commands.release.context import open_journal, release_context, release_target
from saltlick.fleet.ports import Call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from saltlick.release.context import ReleaseContext

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def master(salt_factories: Any) -> Iterator[ApplicationMaster]:
    """One master and four minions for all of these tests, with revision good-1 on each."""
    folder = Path(tempfile.mkdtemp(prefix="salt-rel-"))
    (folder / "pillar/test").mkdir(parents=True)
    (folder / "srv").mkdir()
    (folder / "srv/orch").symlink_to(CHECKOUT / "orch")
    (folder / "pillar/test/top.sls").write_text("test:\n  '*master*': [environment, release]\n")
    (folder / "pillar/test/environment.sls").write_text(ENVIRONMENT)
    overrides = {
        "auto_accept": True,
        "interface": "127.0.0.1",
        "publish_port": free_port(),
        "ret_port": free_port(),
        "fileserver_followsymlinks": True,
        "file_roots": {"base": [str(folder / "srv")]},
        "pillar_roots": {"test": [str(folder / "pillar/test")]},
        "module_dirs": [str(CHECKOUT)],
        "signing_algorithm": "PKCS1v15-SHA224",
        "publish_signing_algorithm": "PKCS1v15-SHA224",
        "timeout": 15,
        "gather_job_timeout": 1,  # what Salt makes of busy minions must not matter
        "saltlick_silent_after_s": 8,  # this machine has nothing else to do
        "worker_threads": 3,
        "log_level_logfile": "warning",
    }
    daemon = salt_factories.salt_master_daemon("release-master", overrides=overrides)
    with daemon.started(start_timeout=180):
        made = ApplicationMaster(daemon, NoCloud(), folder)
        try:
            yield _settled(made)
        finally:
            made.stop_all()
    shutil.rmtree(folder, ignore_errors=True)


def _settled(master: ApplicationMaster) -> ApplicationMaster:
    master.lay_out()
    (master.folder / "pillar/test/release.sls").write_text(master.recipe())
    for server in SERVERS:
        master.start_minion(server)
    master.eventually(lambda: len(ping(master.daemon.config, SERVERS)) == len(SERVERS), "all four minions")
    came_out(rolling(master, "good-1", "force=unhealthy"), 0)
    return master


def came_out(run: Any, code: int) -> dict[str, Any]:
    """What a command answered; everything it said when its exit code is another."""
    if run.code != code:
        pytest.fail(f"exit code {run.code}, not {code}\n{run.stdout}\n{run.stderr}")
    return json.loads(run.stdout)


def rolling(master: ApplicationMaster, rev: str, *more: str) -> Any:
    return master.run("release.rolling", "test", f"rev={rev}", "--out=json", *more)


def all_on(master: ApplicationMaster, name: str) -> bool:
    """Every server runs that revision, is in traffic, and the environment is free."""
    return master.runs() == dict.fromkeys(SERVERS, name) and not master.out() and master.locks.read("test") is None


def paused(master: ApplicationMaster, rev: str) -> subprocess.Popen[str]:
    """A release that has done its canary and waits."""
    run = master.start("release.rolling", "test", f"rev={rev}", "pause=canary", "--out=json")
    master.eventually(lambda: waits(master), "the pause after the canary")
    return run


def waits(master: ApplicationMaster) -> bool:
    with open_journal(master.daemon.config) as journal:
        record = journal.unfinished("test")
    return record is not None and any(step.name == "until promoted" for step in record.steps)


@pytest.mark.parametrize("feature", [backup_context, lambda opts, name: release_fleet(opts, name)])
def test_a_secret_in_a_step_of_any_feature_is_resolved_for_the_server_alone(master, monkeypatch, feature):
    """A refresh and a backup stand on `backup_context`; a release and off-hours on the ports of the same place."""
    monkeypatch.setenv("SALTLICK_TEST_TOKEN", "hunter2")
    address, opts = "sdb://vault/SALTLICK_TEST_TOKEN", {**master.daemon.config, "vault": {"driver": "env"}}
    path = master.folder / "secret"
    with feature(opts, "test") as context:
        written = context.fleet.run({SERVERS[0]: Call("file.write", (str(path), address))}, deadline_s=60)[SERVERS[0]]
        echoed = context.fleet.run({SERVERS[0]: Call("test.echo", (address,))}, deadline_s=60)[SERVERS[0]]
    assert (written.ok, path.read_text().strip()) == (True, "hunter2")
    assert (echoed.ok, echoed.value) == (True, address)
    path.unlink()


def release_fleet(opts: Any, name: str) -> AbstractContextManager[ReleaseContext]:
    target = release_target(opts, name)
    return release_context(opts, name, target.recipe, environment=target.environment)


def test_an_orchestrated_release_reaches_every_server_and_is_told(master):
    config = master.daemon.config
    with salt.utils.event.get_event("master", config["sock_dir"], opts=config, listen=True) as bus:
        done = master.run(
            "state.orchestrate",
            "orch.release",
            "pillarenv=test",
            'pillar={"release": {"rev": "good-2", "message": "two"}}',
            "--out=json",
        )
        heard = []
        while event := bus.get_event(wait=0.2, tag="saltlick/test/", full=True):
            heard.append(event["tag"].split("/", 3)[3])
    came_out(done, 0)
    state = done.states["release"]
    assert state["result"] is True
    assert set(state["changes"]) == set(SERVERS)
    assert {change["new"] for change in state["changes"].values()} == {master.revisions["good-2"]}
    assert all_on(master, "good-2")
    assert heard[0] == "release/started"
    assert heard[-1] == "release/done"
    assert {
        "release/build",
        "release/once",
        "release/drain",
        "release/activate",
        "release/health",
        "release/restore",
    } <= set(heard)
    assert "batch 1/2  test-app-1  drain" in done.stderr
    history = came_out(master.run("release.history", "test", "--out=json"), 0)["releases"]
    assert [(one["rev"], one["outcome"], one["message"]) for one in history] == [
        ("good-2", "done", "two"),
        ("good-1", "done", ""),
    ]
    assert master.once() == [history[1]["id"], history[0]["id"]]
    page = Path(came_out(master.run("release.show", "test", "--out=json"), 0)["page"])
    assert page.read_text().lower().startswith("<!doctype html>")


def test_the_plan_and_the_same_revision_again_change_nothing_and_status_says_so(master):
    plan = came_out(rolling(master, "good-3", "test=True"), 0)
    assert [[one["name"] for one in batch["servers"]] for batch in plan["batches"]] == [
        ["test-app-1"],
        list(SERVERS[1:]),
    ]
    assert not plan["refused"], plan["notes"]
    assert came_out(rolling(master, "good-2"), 0)["outcome"] == "unchanged"
    status = came_out(master.run("release.status", "test", "--out=json"), 0)
    assert not status["mixed"]
    assert status["flags"] == []
    assert {one["sha"] for one in status["servers"].values()} == {master.revisions["good-2"]}
    assert {(one["healthy"], one["traffic"], one["branch"]) for one in status["servers"].values()} == {
        (True, "in", "good-2")
    }


def test_a_function_that_fails_takes_every_touched_server_back(master):
    """Salt's own batches call this success."""
    assert "it does not start" in came_out(rolling(master, "broken", "batch=2"), 5)["reason"]
    assert all_on(master, "good-2")


def test_a_second_release_is_refused_and_ctrl_c_takes_the_first_back(master):
    first = paused(master, "good-3")
    assert master.runs()["test-app-1"] == "good-3"
    refused = came_out(rolling(master, "good-1"), 3)["error"]
    assert f"process {first.pid}" in refused
    assert "release of good-3 of shop" in refused
    os.kill(first.pid, signal.SIGINT)
    out, err = first.communicate(timeout=120)
    assert first.returncode == 5, (out, err)
    assert "Once more stops this instant" in err
    assert "Ctrl-C" in json.loads(out)["reason"]
    assert all_on(master, "good-2")


def test_twice_stops_at_once_and_rollback_puts_all_back(master):
    run = paused(master, "good-3")
    os.kill(run.pid, signal.SIGTERM)
    time.sleep(0.3)
    os.kill(run.pid, signal.SIGTERM)
    began = time.monotonic()
    out, err = run.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert run.returncode == 6, (out, err)
    assert "stopped at once" in json.loads(out)["reason"]
    assert "is half done" in master.locks.read("test").reason
    assert "release.rollback test" in came_out(rolling(master, "good-1"), 3)["error"]
    came_out(master.run("release.rollback", "test", "--out=json"), 5)
    assert all_on(master, "good-2")


def test_killed_and_taken_up_again(master):
    run = paused(master, "good-3")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(10)
    assert master.locks.stale(master.locks.read("test"))
    assert "Its process is gone" in came_out(rolling(master, "good-1"), 3)["error"]
    before = master.once()
    resumed = master.start("release.resume", "test", "--out=json")
    master.eventually(
        lambda: master.locks.read("test") and not master.locks.stale(master.locks.read("test")), "taken up"
    )
    assert came_out(master.run("release.promote", "test", "--out=json"), 0)["heard"]
    out, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, (out, err)
    assert all_on(master, "good-3")
    assert master.once() == before, "a task that is done once is not done again"


def test_a_revision_that_kills_its_minion_leaves_that_server_out_and_the_rest_as_it_was(master):
    answer = came_out(rolling(master, "deadly"), 5)
    assert "test-app-1" in answer["reason"]
    assert answer["out_of_traffic"] == ["test-app-1"]
    assert master.out() == {"test-app-1"}
    assert {master.runs()[server] for server in SERVERS[1:]} == {"good-3"}
    assert master.locks.read("test") is None

    began = time.monotonic()
    assert "test-app-1: does not answer" in came_out(rolling(master, "good-1"), 7)["reason"]
    assert time.monotonic() - began < 45, "a dead server is known long before the deadline"

    master.start_minion("test-app-1")
    master.eventually(lambda: "test-app-1" in ping(master.daemon.config, ["test-app-1"]), "test-app-1 back")
    came_out(rolling(master, "good-1", "force=unhealthy"), 0)
    assert all_on(master, "good-1")
