"""A server of a suite: a container of the sandbox's own image, converged with `salt-call --local`."""

from __future__ import annotations

import fcntl
import io
import itertools
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import yaml
from docker.errors import APIError
from docker.models.containers import Container
from docker.models.networks import Network
from formulas.kitchen import ROOT, Suite, suites
from support.container_commands import ERRORS, OUTPUT, execute

from saltlick.sandbox import image, process
from saltlick.sandbox.docker_host import host_mtu

SALT_CALL = "/opt/saltlick/venv/bin/salt-call"
OWNER = "saltlick.formulas"
"""Label of what these tests make: whose it is, as `pid started`."""
MINION = {
    "file_client": "local",
    "file_roots": {"base": ["/srv/salt"]},
    "pillar_roots": {"base": ["/srv/pillar"]},
    # As on servers of an environment, too.
    "autoload_dynamic_modules": False,
    "lazy_loader_strict_matching": True,
}
_NUMBERS = itertools.count(1)
"""Two servers of one suite, for two files of tests, may stand at a time."""


class Server:
    """One container, the suite's first or another: boot() it, then apply() its highstate as often as wanted."""

    def __init__(self, suite: Suite, client: docker.DockerClient, network: str, number: int = 1) -> None:
        self.suite = suite
        self.id = f"{suite.name.replace('_', '-')}-{number}"
        self._client = client
        self._network = network
        self.container: Container | None = None

    def boot(self) -> None:
        """Start systemd in a container that holds the state tree and the suite's pillar; waits until it takes services."""
        self.container = self._client.containers.create(
            _image(self._client),
            name=f"saltlick-formulas-{self.id}-{os.getpid()}-{next(_NUMBERS)}",
            hostname=self.id,
            labels={OWNER: _owner()},
            network=self._network,
            tty=True,
            tmpfs={"/run": "exec,mode=755", "/tmp": "mode=1777"},
            **_systemd(self._client),
        )
        self.container.put_archive("/", self._files())
        self.container.start()
        self._wait_for_systemd()
        self.run(self.suite.prepare)
        self.run(f"{SALT_CALL} --local --log-level=error saltutil.sync_all refresh=false")

    @property
    def address(self) -> str:
        """Where the suite's other servers find it."""
        self._running.reload()
        (network,) = self._running.attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def write(self, path: str, content: str) -> None:
        """Put a file on the server."""
        self._running.put_archive("/", _archive({path: content.encode()}))

    def run(self, command: str) -> str:
        """What a shell command prints; AssertionError with its output when it fails."""
        done = execute(self._running, ["sh", "-c", command])
        text = done.text(OUTPUT, ERRORS)
        assert done.code == 0, f"{command}: exit code {done.code}\n{text}"
        return text

    def apply(self, **pillar: Any) -> dict[str, dict[str, Any]]:
        """The highstate, with the suite's pillar or that with these keys instead; every state of it by id, all successful."""
        self.write("/srv/pillar/suite.sls", yaml.safe_dump({**self.suite.pillar, **pillar}))
        done = execute(self._running, [SALT_CALL, "--local", "--out=json", "--log-level=error", "state.apply"])
        said = done.text(OUTPUT)
        states = json.loads(said)["local"] if said.startswith("{") else said
        assert isinstance(states, dict), f"{self.suite.name} does not compile: {states} {done.text(ERRORS)}"
        failed = [f"{s['__id__']}: {s['comment']} {s['changes']}" for s in states.values() if not s["result"]]
        assert not failed, "\n".join(failed)
        assert done.code == 0
        return {f"{s['__id__']} {s['name']}": s for s in states.values()}

    def call(self, function: str) -> Any:
        """What an execution function returns."""
        said = self.run(f"{SALT_CALL} --local --out=json --log-level=quiet {function}")
        return json.loads(said)["local"]

    def reboot(self) -> None:
        """Stop it and start it again; waits until it takes services."""
        self._running.restart()
        self._wait_for_systemd()

    def remove(self) -> None:
        """Delete the container, running or not."""
        if self.container is not None:
            self.container.remove(force=True, v=True)

    @property
    def _running(self) -> Any:
        assert self.container is not None, "boot() comes first"
        return self.container

    def _files(self) -> bytes:
        minion = yaml.safe_dump({**MINION, "id": self.id})
        files = {
            "/etc/cloud/cloud-init.disabled": b"",  # no metadata service answers here
            "/etc/dpkg/dpkg.cfg.d/saltlick-formulas": b"force-unsafe-io\n",  # nothing here outlives a power cut
            "/etc/salt/minion": minion.encode(),
            **{f"/srv/pillar/{name}": yaml.safe_dump(pillar).encode() for name, pillar in self.suite.pillars.items()},
            **_tree(ROOT / "salt", "/srv/salt"),
        }
        for source, target in self.suite.volumes.items():
            files.update(_tree(source, target))
        return _archive(files)

    def _wait_for_systemd(self, deadline_s: float = 60) -> None:
        """`degraded` will do: in a container some unit of the image may fail."""
        deadline = time.monotonic() + deadline_s
        while True:
            state = execute(self._running, ["systemctl", "is-system-running"]).text(OUTPUT).strip()
            if state in ("running", "degraded"):
                return
            assert time.monotonic() < deadline, f"systemd is {state!r} after {deadline_s} s"
            time.sleep(0.2)


@contextmanager
def converged(suite: str, network: str) -> Iterator[Server]:
    """The suite's server after a first highstate that changed something and a second that changed nothing."""
    server = Server(suites()[suite], docker.from_env(timeout=300), network)
    try:
        server.boot()
        assert any(state["changes"] for state in server.apply().values())
        changed = {name: state["changes"] for name, state in server.apply().items() if state["changes"]}
        assert not changed, f"the second highstate changed {changed}"
        yield server
    finally:
        server.remove()


def make_network(client: docker.DockerClient) -> Network:
    """A network whose packets are no longer than the host can send on: Docker's own one loses the long ones in a tunnel."""
    clear_ruins(client)
    options = {"com.docker.network.driver.mtu": str(host_mtu())} if Path("/proc/net/route").exists() else {}
    # Of addresses that no VPC of the sandbox has, which may be up at the same time; another checkout's tests may have the first.
    for third in range(224, 256):
        pool = docker.types.IPAMPool(subnet=f"192.168.{third}.0/24")
        try:
            return client.networks.create(
                f"saltlick-formulas-{os.getpid()}",
                options=options,
                labels={OWNER: _owner()},
                ipam=docker.types.IPAMConfig(pool_configs=[pool]),
            )
        except APIError as error:
            if "overlaps" not in str(error.explanation):
                raise
    raise AssertionError("no network left between 192.168.224.0 and 192.168.255.0")


def clear_ruins(client: docker.DockerClient) -> None:
    """Remove what killed sessions left: their networks take the addresses of VPCs in the end."""
    leftovers: tuple[Any, ...] = (
        *client.containers.list(all=True, filters={"label": OWNER}),
        *client.networks.list(filters={"label": OWNER}),
    )
    for made in leftovers:
        owner = made.labels[OWNER] if isinstance(made, Container) else made.attrs["Labels"][OWNER]
        if owner == _owner(int(owner.split()[0])):
            continue
        if isinstance(made, Container):
            made.remove(force=True, v=True)
        else:
            made.remove()


def _owner(pid: int | None = None) -> str:
    return f"{pid or os.getpid()} {process.started_at(pid or os.getpid())}"


def _image(client: docker.DockerClient) -> str:
    """The sandbox's image of an instance: built here if it is not there yet, by one of the processes that want it."""
    with (Path(tempfile.gettempdir()) / "saltlick-formulas.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        return os.environ.get("SALTLICK_FORMULAS_IMAGE") or image.ensure(client, print, ROOT)["instance"]


def _systemd(client: docker.DockerClient) -> dict[str, Any]:
    """How a container runs systemd, by cgroup version."""
    if client.info().get("CgroupVersion", "1") == "2":
        return {"privileged": True, "cgroupns": "private"}
    return {
        "cap_add": ["SYS_ADMIN", "NET_ADMIN"],
        "cgroupns": "host",
        "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
        "volumes": {"/sys/fs/cgroup": {"bind": "/sys/fs/cgroup", "mode": "rw"}},
    }


def _tree(source: Path, target: str) -> dict[str, bytes]:
    """Every file below a folder, symbolic links to folders followed, as it is to be called on the server."""
    files = {}
    for folder, _, names in os.walk(source, followlinks=True):
        for name in names:
            path = Path(folder) / name
            if "__pycache__" not in path.parts and path.is_file():
                files[f"{target}/{path.relative_to(source)}"] = path.read_bytes()
    return files


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size, entry.mode, entry.mtime = len(content), 0o644, time.time()
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
