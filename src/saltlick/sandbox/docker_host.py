"""Docker as the sandbox's hardware: networks and containers, each carrying our label and known by nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from saltlick.errors import SaltlickError
from saltlick.sandbox.desired import Actual, Leg, Machine, Network
from saltlick.sandbox.packets import bridge
from saltlick.sandbox.settings import DIRECTORY, LABEL, RESOLVER_ADDRESS, Settings

KIND, KEY, LEGS, CIDR = "saltlick.kind", "saltlick.key", "saltlick.legs", "saltlick.cidr"
CONSOLE_BYTES = 64 * 1024
GONE_TIMEOUT_S = 60.0


class DockerHost:
    """One sandbox's objects on one Docker engine."""

    def __init__(self, settings: Settings, client: docker.DockerClient | None = None) -> None:
        self.settings = settings
        self.client = client or docker.from_env(timeout=120)
        self._mtu = host_mtu()

    # reading

    def actual(self) -> Actual:
        """What Docker has of ours now: two API calls."""
        containers = self.client.api.containers(all=True, filters={"label": self._label})
        networks = self.client.api.networks(filters={"label": self._label})
        return Actual(
            networks={n["Labels"][KEY]: n["Labels"][CIDR] for n in networks},
            machines={c["Labels"][KEY]: _machine(c) for c in containers if KEY in c["Labels"]},
        )

    def console(self, key: str, *, last_bytes: int = CONSOLE_BYTES) -> bytes:
        """The console of an instance: what its container wrote, or what was kept of a terminated one."""
        try:
            output: bytes = self.client.api.logs(self._container(key), stdout=True, stderr=True, tail=4000)
        except NotFound:
            with contextlib.suppress(FileNotFoundError):
                return self._kept_console(key).read_bytes()[-last_bytes:]
            return b""
        return output[-last_bytes:]

    def exit_code(self, key: str) -> int | None:
        """How a container ended, as it is now; None while it runs, or has never run."""
        state: dict[str, Any] = self.client.api.inspect_container(self._container(key))["State"]
        return int(state["ExitCode"]) if state["Status"] == "exited" else None

    # changing

    def create_network(self, network: Network) -> None:
        """Raises: SaltlickError when Docker refuses, for instance because another network has that CIDR."""
        pool = docker.types.IPAMPool(subnet=network.cidr, gateway=network.gateway)
        options = {
            "com.docker.network.bridge.name": self.bridge(network.key),
            "com.docker.network.driver.mtu": str(self._mtu),
        }
        if int(self.client.api.version()["Version"].split(".")[0]) >= 28:
            # From 28 on Docker drops what is routed to a container from another bridge before our rules see it.
            options["com.docker.network.bridge.gateway_mode_ipv4"] = "nat-unprotected"
        try:
            self.client.api.create_network(
                self._network(network.key),
                driver="bridge",
                options=options,
                ipam=docker.types.IPAMConfig(pool_configs=[pool]),
                labels={**self._labels(network.key, "network"), CIDR: network.cidr},
                check_duplicate=True,
            )
        except APIError as error:
            raise SaltlickError(f"network {network.cidr} of {network.key}: {error.explanation}") from error

    def remove_network(self, key: str) -> None:
        with contextlib.suppress(NotFound):
            self.client.api.remove_network(self._network(key))

    def create(self, machine: Machine, image: str) -> None:
        """Make and start a container with the addresses of its legs. A half-made one is removed."""
        api, first = self.client.api, machine.legs[0]
        host = self._balancer_host(machine) if machine.kind == "balancer" else self._instance_host()
        endpoint = api.create_endpoint_config(ipv4_address=first.address)
        try:
            api.create_container(
                image,
                name=self._container(machine.key),
                hostname=machine.hostname,
                tty=machine.kind == "instance",
                labels={**self._labels(machine.key, machine.kind), LEGS: _pack(machine.legs)},
                host_config=api.create_host_config(network_mode=self._network(first.network), **host),
                networking_config=api.create_networking_config({self._network(first.network): endpoint}),  # type: ignore[arg-type]
            )
            for leg in machine.legs[1:]:
                api.connect_container_to_network(
                    self._container(machine.key), self._network(leg.network), ipv4_address=leg.address
                )
            if machine.running:
                api.start(self._container(machine.key))
        except (APIError, ImageNotFound) as error:
            self.remove(machine.key)
            raise SaltlickError(f"{machine.kind} {machine.key}: {error.explanation}") from error

    def start(self, key: str) -> None:
        self.client.api.start(self._container(key))

    def stop(self, key: str, timeout_s: int = 30) -> None:
        self.client.api.stop(self._container(key), timeout=timeout_s)

    def restart(self, key: str, timeout_s: int = 30) -> None:
        self.client.api.restart(self._container(key), timeout=timeout_s)

    def signal(self, key: str, name: str) -> None:
        self.client.api.kill(self._container(key), name)

    def remove(self, key: str, *, keep_console: bool = False) -> None:
        """Kill and delete at once; the console of an instance can be kept, as AWS keeps it for a while."""
        if keep_console:
            self.settings.consoles.mkdir(parents=True, exist_ok=True)
            self._kept_console(key).write_bytes(self.console(key))
        self._remove(self._container(key))

    def clear(self) -> tuple[int, int]:
        """Remove every container and network that carries this sandbox's label. Returns how many of each."""
        containers = self.client.api.containers(all=True, filters={"label": self._label})
        for container in containers:
            self._remove(container["Id"])
        networks = self.client.api.networks(filters={"label": self._label})
        for network in networks:
            with contextlib.suppress(NotFound):
                self.client.api.remove_network(network["Id"])
        return len(containers), len(networks)

    def _remove(self, container: str) -> None:
        """Kill and delete a container, and return when it is gone: Docker answers 409 while someone else's removal runs."""
        deadline = time.monotonic() + GONE_TIMEOUT_S
        while True:
            try:
                return self.client.api.remove_container(container, force=True, v=True)
            except NotFound:
                return None
            except APIError as error:
                if error.status_code != HTTPStatus.CONFLICT or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    # names

    def container(self, key: str) -> str:
        return self._container(key)

    def bridge(self, key: str) -> str:
        return bridge(self.settings.name if key == "internet" else key)

    @property
    def _label(self) -> str:
        return f"{LABEL}={self.settings.name}"

    def _labels(self, key: str, kind: str) -> dict[str, str]:
        return {LABEL: self.settings.name, DIRECTORY: str(self.settings.directory), KEY: key, KIND: kind}

    def _container(self, key: str) -> str:
        return f"{self.settings.prefix}-{key}"

    def _network(self, key: str) -> str:
        return f"{self.settings.prefix}-{key}"

    def _kept_console(self, key: str) -> Path:
        return self.settings.consoles / f"{key}.log"

    def _instance_host(self) -> dict[str, Any]:
        """How a container runs systemd. Source: measured on Docker 20.10 with cgroup v1; the v2 branch is untested."""
        common = {"tmpfs": {"/run": "exec,mode=755", "/tmp": "exec,mode=1777"}, "dns": [RESOLVER_ADDRESS]}  # noqa: S108
        if self.client.info().get("CgroupVersion", "1") == "2":
            return {**common, "privileged": True, "cgroupns": "private"}
        return {
            **common,
            "cap_add": ["SYS_ADMIN", "NET_ADMIN"],
            "cgroupns": "host",
            "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
            "binds": {"/sys/fs/cgroup": {"bind": "/sys/fs/cgroup", "mode": "rw"}},
        }

    def _balancer_host(self, machine: Machine) -> dict[str, Any]:
        folder = self.settings.balancers / machine.key
        return {"binds": {str(folder): {"bind": "/run/balancer", "mode": "rw"}}, "restart_policy": {"Name": "no"}}


def _pack(legs: tuple[Leg, ...]) -> str:
    return ",".join(f"{leg.network}={leg.address}" for leg in legs)


def _unpack(text: str) -> Iterator[Leg]:
    for part in text.split(","):
        network, _, address = part.partition("=")
        yield Leg(network=network, address=address)


def _machine(container: dict[str, Any]) -> Machine:
    labels = container["Labels"]
    return Machine(
        kind=labels[KIND],
        key=labels[KEY],
        hostname="",
        legs=tuple(_unpack(labels[LEGS])),
        running=container["State"] in ("running", "restarting"),
    )


def host_mtu() -> int:
    """The MTU of the interface with the default route; a bridge with more would lose long packets on the way out."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        interface, destination = line.split()[:2]
        if destination == "00000000":
            return int(Path(f"/sys/class/net/{interface}/mtu").read_text())
    return 1500
