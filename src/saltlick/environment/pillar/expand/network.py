"""VPC, internet gateway, subnets, route tables and NAT gateways."""

from __future__ import annotations

from collections.abc import Iterator

from saltlick.engine.resource import Resource
from saltlick.environment.pillar import layout
from saltlick.environment.pillar.expand.draft import Draft
from saltlick.environment.pillar.model import Environment

ANYWHERE = "0.0.0.0/0"
VPC = "vpc/main"
GATEWAY = "internet_gateway/main"


def resources(environment: Environment) -> Iterator[Resource]:
    """The network inside one VPC; connections with others are `peering`'s."""
    draft = Draft(environment)
    yield draft("vpc", "main", draft.titled("vpc"), cidr=str(environment.cidr))
    if layout.public_tier(environment):
        yield draft("internet_gateway", "main", draft.titled("igw"), vpc=draft.ref(VPC))
    for subnet in layout.subnets(environment):
        yield from _subnet(draft, subnet)
    for table in layout.tables(environment):
        yield draft("route_table", table.name, draft.titled(table.name, "rtb"), vpc=draft.ref(VPC))
        yield from _default_route(draft, table)
    for number in layout.nat_zones(environment):
        yield from _nat(draft, number)


def way_out(environment: Environment, subnet: str) -> tuple[str, ...]:
    """Addresses of what has to exist before a server in that subnet reaches the internet, as far as it ever does."""
    subnet_layout = next(candidate for candidate in layout.subnets(environment) if candidate.name == subnet)
    table = next(candidate for candidate in layout.tables(environment) if candidate.name == subnet_layout.table)
    number = layout.nat_of(environment, table)
    if number is not None:
        return (
            *_way(subnet_layout),
            *_way(layout.subnets_of(environment, layout.public_tier(environment))[number - 1]),
        )
    return _way(subnet_layout) if table.public else _way(subnet_layout)[:1]


def _way(subnet: layout.DeclaredSubnet) -> tuple[str, str]:
    return f"route_table_association/{subnet.name}", f"route/{subnet.table}:{ANYWHERE}"


def _subnet(draft: Draft, subnet: layout.DeclaredSubnet) -> Iterator[Resource]:
    yield draft(
        "subnet",
        subnet.name,
        draft.titled(subnet.name, "subnet"),
        vpc=draft.ref(VPC),
        cidr=str(subnet.cidr),
        zone=subnet.zone,
    )
    yield draft(
        "route_table_association",
        subnet.name,
        draft.titled(subnet.name, "rtbassoc"),
        table=draft.ref(f"route_table/{subnet.table}"),
        subnet=draft.ref(f"subnet/{subnet.name}"),
    )


def _default_route(draft: Draft, table: layout.DeclaredRouteTable) -> Iterator[Resource]:
    number = layout.nat_of(draft.environment, table)
    if table.public:
        gateway, nat = draft.ref(GATEWAY), None
    elif number is not None:
        gateway, nat = None, draft.ref(f"nat_gateway/az{number}")
    else:
        return
    yield draft(
        "route",
        f"{table.name}:{ANYWHERE}",
        f"{draft.titled(table.name)} {ANYWHERE}",
        table=draft.ref(f"route_table/{table.name}"),
        destination=ANYWHERE,
        gateway=gateway,
        nat=nat,
    )


def _nat(draft: Draft, number: int) -> Iterator[Resource]:
    own = f"az{number}"
    # AWS gives a NAT gateway no way out, and fails it, while its VPC has no internet gateway.
    after = [GATEWAY]
    yield draft("elastic_ip", f"nat-{own}", draft.titled("nat", own, "eip"))
    yield draft(
        "nat_gateway",
        own,
        draft.titled(own, "nat"),
        after=after,
        subnet=draft.ref(f"subnet/{layout.public_tier(draft.environment)}-{own}"),
        elastic_ip=draft.ref(f"elastic_ip/nat-{own}"),
    )
