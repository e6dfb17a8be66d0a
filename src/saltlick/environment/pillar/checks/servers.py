"""Server groups: what they name, their own names, and their addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from saltlick.environment.pillar import layout
from saltlick.environment.pillar.checks.findings import PillarFinding, at, counted, repeated, unknown
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import ServerGroup
from saltlick.schema.fields import HOST_NAME_LIMIT

RESERVED_HOSTS = 4
"""AWS keeps the first four addresses of a subnet and the last one. Source: Amazon VPC User Guide, "Subnet sizing"."""


def findings(environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong with the servers by themselves."""
    for group, spec in environment.servers.items():
        where = ("servers", group)
        yield from unknown([spec.subnet], environment.subnets, "tier of subnets", (*where, "subnet"), section="subnets")
        yield from unknown(
            spec.firewall, environment.firewall, "firewall group", (*where, "firewall"), section="firewall"
        )
        yield from repeated(spec.roles, (*where, "roles"))
        yield from _counts(environment, group, spec)
        yield from _image(environment, spec, where)
        yield from _reachable(environment, spec, where)
        yield from _addresses(environment, group, spec)
    yield from _room(environment)
    yield from _same_names(environment)
    yield from _same_addresses(environment)


def _counts(environment: Environment, group: str, spec: ServerGroup) -> Iterator[PillarFinding]:
    where = ("servers", group)
    if spec.names and spec.count not in (None, len(spec.names)):
        yield at(
            *where,
            "count",
            message=f"{spec.count} servers, but {counted(len(spec.names), 'name')}; leave the count out",
        )
    names = layout.server_names(environment, group)
    if len(spec.private_ips) > len(names):
        message = f"{counted(len(spec.private_ips), 'address')} for {counted(len(names), 'server')}"
        lacks = [("servers", group, "names"), ("servers", group, "count")]
        yield at(*where, "private_ips", lacks=lacks, message=message)
    if names and len(longest := max(names, key=len)) > HOST_NAME_LIMIT:
        message = f"{longest} has {len(longest)} characters; a host name takes at most {HOST_NAME_LIMIT}"
        yield at(*where, message=message)


def _image(environment: Environment, spec: ServerGroup, where: tuple[str, str]) -> Iterator[PillarFinding]:
    if not (spec.image or environment.image):
        yield at(*where, lacks=[("image",)], message="no image: give the group one, or the environment")


def _reachable(environment: Environment, spec: ServerGroup, where: tuple[str, str]) -> Iterator[PillarFinding]:
    tier = environment.subnets.get(spec.subnet)
    if tier is None or layout.is_public(spec.subnet, tier):
        return
    for name, requested in (("elastic_ip", spec.elastic_ip), ("public_ip", spec.public_ip)):
        if requested:
            yield at(*where, name, message=f"{spec.subnet} is not public: no public address would be reached there")


def _addresses(environment: Environment, group: str, spec: ServerGroup) -> Iterator[PillarFinding]:
    """Each fixed address has to lie in the subnet that its server falls to."""
    subnets = layout.subnets_of(environment, spec.subnet)
    for number, address in enumerate(spec.private_ips if subnets else ()):
        subnet = subnets[number % len(subnets)]
        place = ("servers", group, "private_ips", number)
        if address not in subnet.cidr:
            yield at(
                *place, lacks=[("zones",), ("subnets",)], message=f"{address} is outside {subnet.name}, {subnet.cidr}"
            )
        elif _reserved(int(address), subnet.cidr):
            message = f"AWS keeps {address} for itself: the first four and the last address of {subnet.cidr}"
            yield at(*place, message=message)


def _reserved(address: int, cidr: IPv4Network) -> bool:
    first, last = int(cidr.network_address), int(cidr.broadcast_address)
    return address < first + RESERVED_HOSTS or address == last


def _room(environment: Environment) -> Iterator[PillarFinding]:
    """Balancers and NAT gateways need addresses too, but AWS does not say how many."""
    for subnet in layout.subnets(environment):
        room = subnet.cidr.num_addresses - RESERVED_HOSTS - 1
        count = sum(server.subnet == subnet.name for server in layout.declared_servers(environment))
        if count > room:
            message = f"{subnet.cidr} has {counted(room, 'address')} for {counted(count, 'server')}"
            yield at("subnets", subnet.tier, "cidrs", subnet.number - 1, message=message)


def _same_names(environment: Environment) -> Iterator[PillarFinding]:
    """Names are host names and minion ids, and the names inside the environment are addresses in the plan."""
    owners: dict[str, str] = {}
    for group in environment.servers:
        for number, name in enumerate(layout.server_names(environment, group)):
            local = name.removeprefix(f"{environment.name}-")
            place = ("names", number) if environment.servers[group].names else ()
            if local in owners:
                yield at("servers", group, *place, message=f"{name} is the name of a server of {owners[local]} too")
            owners.setdefault(local, group)


def _same_addresses(environment: Environment) -> Iterator[PillarFinding]:
    owners: dict[object, str] = {}
    for group, spec in environment.servers.items():
        for number, address in enumerate(spec.private_ips):
            if address in owners:
                message = f"{address} is the address of a server of {owners[address]} too"
                yield at("servers", group, "private_ips", number, message=message)
            owners.setdefault(address, group)
