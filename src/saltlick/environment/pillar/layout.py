"""What follows from an environment's short form: its subnets, route tables, NAT gateways and servers, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.network import Nat, Tier
from saltlick.environment.pillar.servers import BootAs


@dataclass(frozen=True, slots=True)
class DeclaredSubnet:
    """One subnet: `name` is `<tier>-az<number>`, `table` the route table it belongs to."""

    name: str
    tier: str
    number: int
    zone: str
    cidr: IPv4Network
    public: bool
    table: str


@dataclass(frozen=True, slots=True)
class DeclaredRouteTable:
    """One route table. `number` is its zone's, None for one that serves all zones of a public tier."""

    name: str
    tier: str
    public: bool
    number: int | None


@dataclass(frozen=True, slots=True)
class DeclaredServer:
    """One server: `name` is its Name tag, its minion id and its host name; `address` its instance in the plan."""

    name: str
    environment: str
    group: str
    number: int
    zone: str
    subnet: str
    roles: tuple[str, ...]
    tier: int
    boot: BootAs
    private_ip: str | None

    @property
    def local_name(self) -> str:
        """Its name inside the environment: `app-1` for `prod-app-1`, the whole name where it was given."""
        own = f"{self.group}-{self.number}"
        return own if self.name == f"{self.environment}-{own}" else self.name

    @property
    def address(self) -> str:
        return f"instance/{self.local_name}"


def is_public(name: str, tier: Tier) -> bool:
    """Whether the tier's default route is the internet gateway."""
    return name == "public" if tier.public is None else tier.public


def public_tier(environment: Environment) -> str | None:
    """The first public tier: where NAT gateways stand."""
    return next((name for name, tier in environment.subnets.items() if is_public(name, tier)), None)


def subnets(environment: Environment) -> tuple[DeclaredSubnet, ...]:
    """Every subnet, tier by tier, zone by zone."""
    return tuple(_subnets(environment))


def _subnets(environment: Environment) -> Iterator[DeclaredSubnet]:
    for name, tier in environment.subnets.items():
        public = is_public(name, tier)
        for number, (zone, cidr) in enumerate(zip(environment.zones, tier.cidrs, strict=False), start=1):
            own = f"{name}-az{number}"
            yield DeclaredSubnet(own, name, number, zone, cidr, public, name if public else own)


def subnets_of(environment: Environment, tier: str | None) -> tuple[DeclaredSubnet, ...]:
    """The subnets of one tier, in the order of the zones."""
    return tuple(subnet for subnet in subnets(environment) if subnet.tier == tier)


def tables(environment: Environment) -> tuple[DeclaredRouteTable, ...]:
    """Every route table: one per public tier, one per zone of a private tier."""
    by_name = {
        subnet.table: DeclaredRouteTable(
            subnet.table, subnet.tier, subnet.public, None if subnet.public else subnet.number
        )
        for subnet in subnets(environment)
    }
    return tuple(by_name.values())


def nat_zones(environment: Environment) -> tuple[int, ...]:
    """Numbers of the zones that have a NAT gateway."""
    nat_choices = {tier.nat for name, tier in environment.subnets.items() if not is_public(name, tier)}
    if Nat.PER_ZONE in nat_choices:
        return tuple(range(1, len(environment.zones) + 1))
    return (1,) if Nat.ONE in nat_choices else ()


def nat_of(environment: Environment, table: DeclaredRouteTable) -> int | None:
    """Number of the zone whose NAT gateway a private table's default route goes through; None without."""
    if table.number is None:
        return None
    return {Nat.NONE: None, Nat.ONE: 1, Nat.PER_ZONE: table.number}[environment.subnets[table.tier].nat]


def server_names(environment: Environment, group: str) -> tuple[str, ...]:
    """Names of a group's servers, in order."""
    spec = environment.servers[group]
    if spec.names:
        return spec.names
    count = 1 if spec.count is None else spec.count
    return tuple(f"{environment.name}-{group}-{number}" for number in range(1, count + 1))


def servers_of(environment: Environment, group: str) -> tuple[DeclaredServer, ...]:
    """A group's servers: spread over the zones of its tier in turn. None where there is no such tier."""
    spec = environment.servers[group]
    place = list(environment.servers).index(group) + 1
    subnets_here = subnets_of(environment, spec.subnet)
    if not subnets_here:
        return ()
    return tuple(
        DeclaredServer(
            name=name,
            environment=environment.name,
            group=group,
            number=number,
            zone=(subnet := subnets_here[(number - 1) % len(subnets_here)]).zone,
            subnet=subnet.name,
            roles=spec.roles,
            tier=place if spec.tier is None else spec.tier,
            boot=spec.boot,
            private_ip=str(spec.private_ips[number - 1]) if number <= len(spec.private_ips) else None,
        )
        for number, name in enumerate(server_names(environment, group), start=1)
    )


def declared_servers(environment: Environment) -> tuple[DeclaredServer, ...]:
    """Every server of the short form, group by group in the order of the pillar."""
    return tuple(server for group in environment.servers for server in servers_of(environment, group))


def server_tiers(environment: Environment) -> tuple[tuple[str, ...], ...]:
    """Server names in the order in which they are configured: one tuple per tier, its servers at once."""
    everyone = declared_servers(environment)
    numbers = sorted({server.tier for server in everyone})
    return tuple(tuple(server.name for server in everyone if server.tier == number) for number in numbers)


def masters(environment: Environment, peers: Mapping[str, Environment]) -> tuple[DeclaredServer, ...]:
    """The servers that are a Salt master, here and in the declared peers."""
    near = [environment, *(peers[name] for name in environment.peers if name in peers)]
    groups = [
        (member, name) for member in near for name, group in member.servers.items() if group.boot is BootAs.MASTER
    ]
    return tuple(server for member, name in groups for server in servers_of(member, name))
