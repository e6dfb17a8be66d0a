"""Who else is on this machine: other sandboxes, and networks whose addresses a VPC cannot have too.

A sandbox whose hypervisor has died is a ruin: its cloud was in the memory of that process, and what Docker still has of
it only blocks addresses. Ruins are cleared by whichever sandbox comes up next; those that live are never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import docker

from saltlick.errors import SaltlickError
from saltlick.sandbox import process
from saltlick.sandbox.settings import DIRECTORY, LABEL, Settings

ROUTES = Path("/proc/net/route")


@dataclass(frozen=True, kw_only=True, order=True)
class Neighbour:
    """Another sandbox on the same engine, read from the labels of its containers and networks."""

    name: str
    directory: Path

    @property
    def alive(self) -> bool:
        return process.running(self.directory / "hypervisor.pid") is not None

    def __str__(self) -> str:
        return f"sandbox {self.name!r} of {self.directory}"


@dataclass(frozen=True, kw_only=True)
class AddressConflict:
    """A range of addresses that something else on this machine uses."""

    cidr: IPv4Network
    by: str


def neighbours(client: docker.DockerClient, own: Settings) -> list[Neighbour]:
    """The other sandboxes of which Docker has anything."""
    api = client.api
    objects = (*api.containers(all=True, filters={"label": LABEL}), *api.networks(filters={"label": LABEL}))
    conflicts = {
        Neighbour(name=o["Labels"][LABEL], directory=Path(o["Labels"].get(DIRECTORY, "/nowhere"))) for o in objects
    }
    return sorted(other for other in conflicts if other.directory != own.directory)


def refuse_namesake(own: Settings, others: Iterable[Neighbour]) -> None:
    """Raises: SaltlickError when a sandbox of our name runs for another folder: its containers have our names."""
    for other in others:
        if other.name == own.name and other.alive:
            raise SaltlickError(
                f"the {other} runs: stop it (saltlick sandbox --directory {other.directory} down), "
                "or give this one its own --name, --port, --internet and VPC CIDRs"
            )


def taken(client: docker.DockerClient, own: Settings, routes: Path = ROUTES) -> tuple[AddressConflict, ...]:
    """Address ranges of Docker's networks and of this machine's own, without those of sandbox `own`."""
    networks = client.api.networks()
    hosts = routes.read_text() if routes.exists() else ""
    return (*_of_docker(networks, own), *_of_host(hosts, {bridge_of(network) for network in networks}))


def overlap(cidr: str, others: Iterable[AddressConflict]) -> AddressConflict | None:
    """The first of `others` that has an address of `cidr`; None for a CIDR that is none."""
    try:
        network = IPv4Network(cidr)
    except ValueError:
        return None
    return next((other for other in others if network.overlaps(other.cidr)), None)


def _of_docker(networks: Iterable[Mapping[str, Any]], own: Settings) -> Iterator[AddressConflict]:
    for network in networks:
        labels = network.get("Labels") or {}
        if labels.get(LABEL) == own.name:
            continue
        where = (
            f", {Neighbour(name=labels[LABEL], directory=Path(labels.get(DIRECTORY, '?')))}" if LABEL in labels else ""
        )
        for pool in (network.get("IPAM") or {}).get("Config") or ():
            if "." in pool.get("Subnet", ""):
                yield AddressConflict(cidr=IPv4Network(pool["Subnet"]), by=f"Docker's network {network['Name']}{where}")


def _of_host(routes: str, bridges: set[str]) -> Iterator[AddressConflict]:
    """Source: proc(5), /proc/net/route: addresses as the machine's words in hexadecimal digits."""
    for line in routes.splitlines()[1:]:
        interface, destination, _gateway, _flags, _refs, _use, _metric, mask = line.split()[:8]
        bits = int(mask, 16).bit_count()
        if bits and interface not in bridges:
            address = IPv4Address(int(destination, 16).to_bytes(4, "little"))
            yield AddressConflict(cidr=IPv4Network(f"{address}/{bits}"), by=f"the route over {interface}")


def bridge_of(network: Mapping[str, Any]) -> str:
    """The name of the interface of one of Docker's bridge networks."""
    options = network.get("Options") or {}
    return str(options.get("com.docker.network.bridge.name") or f"br-{network['Id'][:12]}")
