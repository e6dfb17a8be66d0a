"""Packet rules: which subnets of two VPCs may talk, and how instances reach what AWS serves on link-local addresses.

Rendering is pure; `install` writes our own chains in one atomic `iptables-restore`, and `remove` takes them away.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations

from saltlick.errors import SaltlickError
from saltlick.sandbox.cloud import SandboxSnapshot, SandboxSubnet
from saltlick.sandbox.settings import INTERNAL_ADDRESS, METADATA_ADDRESS, RESOLVER_ADDRESS, Settings


@dataclass(frozen=True, order=True)
class Passage:
    """Two subnets of different VPCs between which packets may pass, in both directions."""

    vpc_a: str
    cidr_a: str
    vpc_b: str
    cidr_b: str


def bridge(vpc: str) -> str:
    """The name of a VPC's bridge on this host: at most 15 characters, told apart by the end of the id."""
    return f"sl-{vpc[-12:]}"


def passages(snapshot: SandboxSnapshot) -> tuple[Passage, ...]:
    """The subnet pairs with an active peering between their VPCs and a route to each other on both sides."""
    passages_found = []
    for peering in snapshot.peerings:
        for a, b in combinations(snapshot.subnets, 2):
            if (
                a.vpc != b.vpc
                and {a.vpc, b.vpc} == peering.vpcs
                and _leads(a, b, peering.id)
                and _leads(b, a, peering.id)
            ):
                passages_found.append(Passage(a.vpc, a.cidr, b.vpc, b.cidr))
    return tuple(sorted(set(passages_found)))


def _leads(source: SandboxSubnet, destination: SandboxSubnet, peering: str) -> bool:
    """Whether the most specific route of `source` that covers `destination` goes through `peering`."""
    network = IPv4Network(destination.cidr)
    covering = [route for route in source.routes if network.subnet_of(IPv4Network(route.destination))]
    best = max(covering, key=lambda route: IPv4Network(route.destination).prefixlen, default=None)
    return best is not None and best.peering == peering


def render(
    settings: Settings, vpcs: Mapping[str, str], open_passages: Sequence[Passage], front_doors: Sequence[str]
) -> str:
    """The whole of our chains as `iptables-restore` input.

    `vpcs` are the networks, by id, of those with a bridge; `front_doors` the addresses of load balancers in the internet network.
    """
    forward, inward, before, after = (f"{_chain(settings)}-{end}" for end in ("FWD", "IN", "PRE", "POST"))
    internet = bridge(settings.name)
    lines = ["*filter", f":{forward} - [0:0]", f":{inward} - [0:0]"]
    for p in open_passages:
        lines += [f"-A {forward} {way} -j ACCEPT" for way in _ways(p, interfaces=True)]
    for address in front_doors:
        for vpc in vpcs:
            lines.append(f"-A {forward} -i {bridge(vpc)} -o {internet} -d {address}/32 -j ACCEPT")
            lines.append(
                f"-A {forward} -i {internet} -o {bridge(vpc)} -s {address}/32"
                " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
            )
    ports = ",".join(str(p) for p in (settings.metadata_port, settings.internal_port, settings.resolver_port))
    for vpc in vpcs:
        for protocol in ("tcp", "udp"):
            lines.append(f"-A {inward} -i {bridge(vpc)} -p {protocol} -m multiport --dports {ports} -j ACCEPT")
    lines += ["COMMIT", "*nat", f":{before} - [0:0]", f":{after} - [0:0]"]
    for vpc in vpcs:
        lines += [f"-A {before} -i {bridge(vpc)} {rule}" for rule in _redirects(settings)]
    # What stays in a network keeps its source address: a Docker that died leaves rules for an old bridge with the same network.
    lines += [f"-A {after} -s {network} -d {network} -j ACCEPT" for network in vpcs.values()]
    for p in open_passages:
        # Before Docker's own MASQUERADE: a peer sees the real source address, as on AWS.
        lines += [f"-A {after} {way} -j ACCEPT" for way in _ways(p, interfaces=False)]
    return "\n".join([*lines, "COMMIT", ""])


def _chain(settings: Settings) -> str:
    return f"SALTLICK-{settings.name}"


def _ways(p: Passage, *, interfaces: bool) -> Iterator[str]:
    for source, destination in (((p.vpc_a, p.cidr_a), (p.vpc_b, p.cidr_b)), ((p.vpc_b, p.cidr_b), (p.vpc_a, p.cidr_a))):
        through = f"-i {bridge(source[0])} -o {bridge(destination[0])} " if interfaces else ""
        yield f"{through}-s {source[1]} -d {destination[1]}"


def _redirects(settings: Settings) -> Iterator[str]:
    for protocol, address, port, to in (
        ("tcp", METADATA_ADDRESS, 80, settings.metadata_port),
        ("tcp", INTERNAL_ADDRESS, 80, settings.internal_port),
        ("udp", RESOLVER_ADDRESS, 53, settings.resolver_port),
        ("tcp", RESOLVER_ADDRESS, 53, settings.resolver_port),
    ):
        yield f"-d {address}/32 -p {protocol} --dport {port} -j REDIRECT --to-ports {to}"


def _jumps(settings: Settings) -> tuple[tuple[str, str, str], ...]:
    name = _chain(settings)
    return (
        ("filter", "DOCKER-USER", f"{name}-FWD"),
        ("filter", "INPUT", f"{name}-IN"),
        ("nat", "PREROUTING", f"{name}-PRE"),
        ("nat", "POSTROUTING", f"{name}-POST"),
    )


def install(settings: Settings, text: str) -> None:
    """Put `text` in force at once, and make sure that the kernel's chains lead into ours.

    Raises: SaltlickError when iptables refuses it.
    """
    _run(["iptables-restore", "--wait", "--noflush"], text)
    for table, parent, chain in _jumps(settings):
        if not _leads_first(table, parent, chain):
            _ok(["iptables", "-w", "-t", table, "-D", parent, "-j", chain])
            _run(["iptables", "-w", "-t", table, "-I", parent, "1", "-j", chain])


def _leads_first(table: str, parent: str, chain: str) -> bool:
    """Whether a jump is where it works. Docker puts the MASQUERADE of each new network at the very top: ours must be above."""
    rules = _run(["iptables", "-w", "-t", table, "-S", parent]).splitlines()[1:]
    ours = f"-A {parent} -j {chain}"
    return rules[:1] == [ours] if parent == "POSTROUTING" else ours in rules


def remove(settings: Settings) -> None:
    """Take our chains and the jumps into them away. Nothing there is fine."""
    for table, parent, chain in _jumps(settings):
        while _ok(["iptables", "-w", "-t", table, "-D", parent, "-j", chain]):
            pass
        for step in ("-F", "-X"):
            _ok(["iptables", "-w", "-t", table, step, chain])


def _ok(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def _run(command: list[str], text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SaltlickError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout
