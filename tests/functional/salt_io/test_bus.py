"""Progress on the bus of a real master: what a reactor, or `salt-run state.event`, sees of a job."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import salt.utils.event
from functional.conftest import SMALL

from bench.ports import free_port
from saltlick.salt_io.events import master_listens, master_publishes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def running(master) -> Iterator[None]:
    """That master, running."""
    master.pillar("heard", SMALL.format(name="heard", cidr="10.63.0.0/16", subnet="10.63.0.0/24"))
    config = json.loads((master.folder / "master").read_text())
    config |= {
        "sock_dir": "/b",  # not the one where nobody listens
        "interface": "127.0.0.1",
        "publish_port": free_port(),
        "ret_port": free_port(),
        "worker_threads": 1,
    }
    (master.folder / "master").write_text(json.dumps(config))
    command = [str(master.command()[0]).replace("salt-run", "salt-master"), "-c", str(master.folder)]
    daemon = subprocess.Popen(command, env=master.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (Path(master.opts["sock_dir"]) / "master_event_pull.ipc").exists():
            assert daemon.poll() is None, "salt-master did not start"
            assert time.monotonic() < deadline, "salt-master is not up"
            time.sleep(0.1)
        yield
    finally:
        daemon.terminate()
        daemon.wait(60)


@pytest.mark.usefixtures("running")
def test_on_bus(master):  # a short name: a socket's path, with pytest's folder, has 107 characters at most
    """Every finished resource is an event under the job's id, and so are start and end."""
    opts = master.opts
    with salt.utils.event.get_event("master", opts["sock_dir"], opts=opts, listen=True) as bus:
        bus.subscribe("saltlick/")
        applied = master.run("environment.apply", "heard", "--out=json")
        assert applied.code == 0, applied
        seen = {}
        while event := bus.get_event(wait=5, tag="saltlick/", full=True):
            seen[event["tag"]] = event["data"]
            if event["tag"].endswith("/end"):
                break
    [job] = {tag.split("/")[2] for tag in seen}
    assert job.isdigit(), "Salt's own job id"
    created = [outcome for outcome in applied.json["outcomes"] if outcome["action"] == "create"]
    expected = {f"saltlick/heard/{job}/create/{outcome['address'].removeprefix('heard:')}" for outcome in created}
    assert expected <= seen.keys()
    assert {f"saltlick/heard/{job}/start", f"saltlick/heard/{job}/end"} <= seen.keys()
    assert seen[f"saltlick/heard/{job}/create/vpc/main"]["id"].startswith("vpc-")
    master.run("environment.destroy", "heard", "confirm=heard")


def test_sockets_that_a_killed_master_left_are_no_master(master):
    folder = Path(master.opts["sock_dir"]).with_name("left")
    folder.mkdir()
    opts = {**master.opts, "sock_dir": str(folder)}
    with socket.socket(socket.AF_UNIX) as pull, socket.socket(socket.AF_UNIX) as pub:
        for one, name, there in (
            (pull, "master_event_pull.ipc", master_listens),
            (pub, "master_event_pub.ipc", master_publishes),
        ):
            assert not there(opts)
            one.bind(str(folder / name))
            one.listen()
            assert there(opts)
    assert (folder / "master_event_pub.ipc").exists()
    assert (master_listens(opts), master_publishes(opts)) == (False, False)
