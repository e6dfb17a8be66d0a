"""A route: where packets to one destination leave a route table. AWS cannot tag it, so its identity is derived.

A route that leads to a peering belongs to the environment of that peering, whichever table it stands in; any other
belongs to its table's environment. Its name is `<table>:<destination>`, or `<environment>.<table>:<destination>` for one
that stands in another environment's table. Routes to a peering of an environment out of scope are not shown at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import (
    Attributes,
    Key,
    Kind,
    Observed,
    Properties,
    Scope,
    Text,
    Wanted,
    immutable,
    mutable,
)
from saltlick.errors import AwsError
from saltlick.kinds import tags
from saltlick.kinds.peering import peerings
from saltlick.kinds.route_table import all_tables


@dataclass(frozen=True, kw_only=True)
class RouteProperties(Properties):
    table: Text = immutable("The route table's id.")
    destination: str = immutable("The range it is for: `0.0.0.0/0`.")
    gateway: Text | None = mutable("The internet gateway it leads to.", default=None)
    nat: Text | None = mutable("The NAT gateway it leads to.", default=None)
    peering: Text | None = mutable("The peering it leads to.", default=None)


class Route(Kind):
    """Source: EC2 CreateRoute, ReplaceRoute, DeleteRoute, DescribeRouteTables."""

    name = "route"
    properties = RouteProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeRouteTables", "ec2:DescribeVpcPeeringConnections"),
        "create": ("ec2:CreateRoute", "ec2:ReplaceRoute", "ec2:DescribeRouteTables"),
        "update": ("ec2:ReplaceRoute",),
        "destroy": ("ec2:DeleteRoute",),
    }
    dies_with: ClassVar[frozenset[str]] = frozenset({"route_table"})
    """Kinds whose deletion takes this along, so that it need not be deleted on its own when they are."""

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        owners = _owners_by_peering(reading, scope)
        for table in all_tables(reading):
            holder = tags.key_of(tags.of(table))
            if holder:
                yield from _routes(table, holder, owners, scope)

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        parameters = _parameters(wanted.properties)
        try:
            cloud.call("ec2", "create_route", **parameters)
        except AwsError as error:
            if error.code != "RouteAlreadyExists" or not _may_be_replaced(cloud, wanted.properties):
                raise
            cloud.call("ec2", "replace_route", **parameters)
        return {"id": _id(wanted.properties.table, wanted.properties.destination)}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if fields - {"tags"}:
            cloud.call("ec2", "replace_route", **_parameters(wanted.properties))
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        table, _, destination = observed.id.partition("|")
        try:
            cloud.call("ec2", "delete_route", RouteTableId=table, **_destination(destination))
        except AwsError as error:
            if not error.not_found:
                raise


def _owners_by_peering(reading: Reading, scope: Scope) -> dict[str, str]:
    peering_objects = tags.found(peerings(reading, scope), scope, "peering")
    return {item["VpcPeeringConnectionId"]: key.environment for key, _, item in peering_objects}


def _routes(table: tags.Item, holder: Key, owners: Mapping[str, str], scope: Scope) -> Iterator[Observed]:
    for route in table.get("Routes", ()):
        peering = route.get("VpcPeeringConnectionId")
        owner = owners.get(peering) if peering else holder.environment
        destination = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")
        if destination and owner in scope.environments and route.get("Origin") == "CreateRoute":
            yield _observed(table["RouteTableId"], destination, route, _key(str(owner), holder, destination))


def _key(owner: str, holder: Key, destination: str) -> Key:
    table = holder.address.partition("/")[2]
    prefix = "" if owner == holder.environment else f"{holder.environment}."
    return Key(owner, f"route/{prefix}{table}:{destination}")


def _observed(table_id: str, destination: str, route: tags.Item, key: Key) -> Observed:
    targets = {
        "gateway": route.get("GatewayId") or None,
        "nat": route.get("NatGatewayId") or None,
        "peering": route.get("VpcPeeringConnectionId") or None,
    }
    return Observed(
        key=key,
        properties={"table": table_id, "destination": destination, **targets},
        attributes={"id": _id(table_id, destination)},
        references=frozenset({table_id, *(target for target in targets.values() if target)}),
    )


def _may_be_replaced(cloud: Cloud, properties: RouteProperties) -> bool:
    """Whether the route in our way leads nowhere (its target was deleted) or where we want it already."""
    table = cloud.call("ec2", "describe_route_tables", RouteTableIds=[properties.table])["RouteTables"][0]
    target = properties.gateway or properties.nat or properties.peering
    return any(
        route.get("State") == "blackhole" or target in route.values()
        for route in table["Routes"]
        if route.get("DestinationCidrBlock") == properties.destination
    )


def _parameters(properties: RouteProperties) -> dict[str, Any]:
    targets = {
        "GatewayId": properties.gateway,
        "NatGatewayId": properties.nat,
        "VpcPeeringConnectionId": properties.peering,
    }
    return {
        "RouteTableId": properties.table,
        **_destination(properties.destination),
        **{name: target for name, target in targets.items() if target},
    }


def _destination(destination: str) -> dict[str, str]:
    return {"DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock": destination}


def _id(table_id: Text, destination: str) -> str:
    return f"{table_id}|{destination}"
