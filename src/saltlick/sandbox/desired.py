"""What should run, given what AWS says exists; and what to do about the difference. Pure: no Docker, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from saltlick.sandbox.cloud import SandboxBalancer, SandboxSnapshot

ALIVE = frozenset({"pending", "running"})
KEPT = frozenset({"stopping", "stopped"})


@dataclass(frozen=True, kw_only=True)
class Network:
    """A VPC's Docker network. `key` is the VPC's id, or `internet`."""

    key: str
    cidr: str

    @property
    def gateway(self) -> str:
        return str(IPv4Network(self.cidr)[1])


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One network interface of a container."""

    network: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A container. `kind` is `instance` or `balancer`; `key` the instance's id, or the balancer's name."""

    kind: str
    key: str
    hostname: str
    legs: tuple[Leg, ...]
    running: bool = True


@dataclass(frozen=True, kw_only=True)
class Desired:
    networks: tuple[Network, ...]
    machines: tuple[Machine, ...]


@dataclass(frozen=True, kw_only=True)
class Actual:
    """What Docker has of ours: network keys with their CIDR, machines by key."""

    networks: Mapping[str, str] = field(default_factory=dict)
    machines: Mapping[str, Machine] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SandboxAction:
    """`verb` is one of create, start, stop, remove, create_network, remove_network."""

    verb: str
    key: str
    machine: Machine | None = None
    network: Network | None = None


def desired(snapshot: SandboxSnapshot, internet: str, actual: Actual) -> Desired:
    """The networks and containers that make `snapshot` real.

    A default VPC gets its network only when something is in it. Balancers keep the addresses they have in `actual`.
    """
    instances = tuple(
        Machine(
            kind="instance",
            key=i.id,
            hostname=i.private_dns.split(".")[0],
            legs=(Leg(network=i.vpc, address=i.private_ip),),
            running=i.state in ALIVE,
        )
        for i in snapshot.instances
        if i.state in ALIVE | KEPT
    )
    taken = {leg.address for machine in (*actual.machines.values(), *instances) for leg in machine.legs}
    balancers = []
    for balancer in snapshot.balancers:
        machine = actual.machines.get(balancer_key(balancer)) or _balancer(balancer, internet, taken)
        taken |= {leg.address for leg in machine.legs}
        balancers.append(machine)
    machines = (*instances, *balancers)
    used = {leg.network for machine in machines for leg in machine.legs}
    networks = [Network(key=v.id, cidr=v.cidr) for v in snapshot.vpcs if not v.default or v.id in used]
    if balancers:
        networks.append(Network(key="internet", cidr=internet))
    return Desired(networks=tuple(networks), machines=machines)


def balancer_key(balancer: SandboxBalancer) -> str:
    """Name and the id at the end of the ARN: unique over regions, and readable in `docker ps`."""
    return f"{balancer.name}-{balancer.arn.rsplit('/', 1)[-1][:8]}"


def _balancer(balancer: SandboxBalancer, internet: str, taken: set[str]) -> Machine:
    """Addresses from the upper end of the first subnet: moto deals out instance addresses from the lower."""
    inside = _free(reversed([*IPv4Network(balancer.subnet_cidrs[0]).hosts()][-64:]), taken)
    outside = _free(iter([*IPv4Network(internet).hosts()][9:]), taken)
    legs = (Leg(network=balancer.vpc, address=inside), Leg(network="internet", address=outside))
    # Docker makes the first network the default route: out to the host and, through it, to other VPCs.
    return Machine(kind="balancer", key=balancer_key(balancer), hostname=balancer.name, legs=legs[::-1])


def _free(candidates: object, taken: set[str]) -> str:
    addresses = iter(candidates)  # type: ignore[call-overload]
    return next(str(address) for address in addresses if isinstance(address, IPv4Address) and str(address) not in taken)


def difference(desired: Desired, actual: Actual) -> tuple[SandboxAction, ...]:
    """What to do, in an order in which it can be done: machines go, networks go, networks come, machines come."""
    machines = {machine.key: machine for machine in desired.machines}
    networks = {network.key: network for network in desired.networks}
    gone = [key for key, have in actual.machines.items() if key not in machines or machines[key].legs != have.legs]
    stale = [key for key, cidr in actual.networks.items() if key not in networks or networks[key].cidr != cidr]
    stay = {key: have for key, have in actual.machines.items() if key not in gone}
    blocked = {leg.network for have in stay.values() for leg in have.legs}
    return (
        *(SandboxAction(verb="remove", key=key, machine=actual.machines[key]) for key in gone),
        *(SandboxAction(verb="remove_network", key=key) for key in stale if key not in blocked),
        *(
            SandboxAction(verb="create_network", key=n.key, network=n)
            for n in desired.networks
            if n.key not in actual.networks
        ),
        *(SandboxAction(verb="create", key=m.key, machine=m) for m in desired.machines if m.key not in stay),
        *(
            SandboxAction(verb="start" if machines[key].running else "stop", key=key, machine=machines[key])
            for key, have in stay.items()
            if have.running != machines[key].running
        ),
    )
