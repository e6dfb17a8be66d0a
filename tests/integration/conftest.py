"""A real master on loopback, this checkout's orchestrations and top files on it, an AWS with consoles, and real minions."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from integration.integration_master import CONTROL, PROBE, IntegrationMaster, environment
from integration.loopback_cloud import Cloud

from bench.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Short, because it holds sockets."""
    made = Path(tempfile.mkdtemp(prefix="salt-it-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def salt_factories_config() -> Iterator[dict[str, Any]]:
    """A folder of its own for each run; without it all runs on a machine share `/tmp/salt-master`."""
    root = Path(tempfile.mkdtemp(prefix="salt-if-"))
    yield {"root_dir": root}
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def tree(folder: Path) -> dict[str, Any]:
    """Roots: our own orchestrations and pillar top, a harmless state in place of the formulas."""
    pillar, srv = folder / "pillar", folder / "srv"
    shutil.copytree(CHECKOUT / "pillar" / "common", pillar / "common")
    for name in ("control", "test", "prod"):
        (pillar / name / "roles").mkdir(parents=True)
        (pillar / name / "environment.sls").write_text(CONTROL if name == "control" else environment(name))
        (pillar / name / "roles" / "probe.sls").write_text(f"probe: secret of {name}\n")
    srv.mkdir()
    (srv / "orch").symlink_to(CHECKOUT / "orch")
    (srv / "_modules").symlink_to(CHECKOUT / "_modules")
    (srv / "top.sls").write_text("base:\n  '*': [probe]\n")
    (srv / "probe.sls").write_text(PROBE.format(folder=folder))
    names = ("control", "test", "prod")
    return {
        "file_roots": {"base": [str(srv)]},
        "pillar_roots": {name: [str(pillar / name), str(pillar / "common")] for name in names},
        "module_dirs": [str(CHECKOUT)],
    }


@pytest.fixture(scope="session")
def master(salt_factories: Any, folder: Path, tree: dict[str, Any]) -> Iterator[IntegrationMaster]:
    """The master, running, with control built."""
    hardened = {
        "auto_accept": False,
        "open_mode": False,
        "interface": "127.0.0.1",
        "publish_port": free_port(),
        "ret_port": free_port(),
        "fileserver_followsymlinks": True,
        "signing_algorithm": "PKCS1v15-SHA224",
        "publish_signing_algorithm": "PKCS1v15-SHA224",
        "timeout": 15,
        "gather_job_timeout": 15,
        "worker_threads": 3,
        "log_level_logfile": "warning",
    }
    daemon = salt_factories.salt_master_daemon(
        "salt-master",
        overrides={**hardened, **tree},
        on_auth_event_callback=lambda *_: None,  # left to itself, salt-factories accepts every key that shows up
    )
    with Cloud() as cloud, daemon.started(start_timeout=180):
        made = IntegrationMaster(daemon, cloud, folder)
        applied = made.run("environment.apply", "control", "--out=json")
        assert applied.code == 0, applied
        yield made
        for minion in made.minions.values():
            minion.kill()


@pytest.fixture
def servers(master: IntegrationMaster) -> Iterator[IntegrationMaster]:
    """Both servers of `test` alive, whatever the test before did to them."""
    master.reset()
    master.pillar("test", environment("test"))
    for name in ("test-first-1", "test-second-1"):
        minion = master.minions.get(name) or master.minion(name)
        master.cloud.consoles[name] = minion.boot_log
        if not any(process.poll() is None for process in minion.processes):
            minion.start()
    yield master
    for name, minion in list(master.minions.items()):
        if name not in {"test-first-1", "test-second-1"}:
            minion.kill()
    master.reset()


@pytest.fixture
def deployed(servers: IntegrationMaster) -> IntegrationMaster:
    """`test` deployed: both servers in, and answering."""
    if not servers.answers("test-first-1", "test-second-1"):
        done = servers.deploy()
        assert done.code == 0, (done.failed, done.stderr)
        servers.reset()
    return servers
