"""Which route table a subnet follows. AWS cannot tag it: it is named, and owned, by its subnet.

A subnet that was associated with another table by hand is associated again with the declared one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

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
from saltlick.kinds import retry, tags
from saltlick.kinds.route_table import all_tables
from saltlick.kinds.subnet import subnets


@dataclass(frozen=True, kw_only=True)
class RouteTableAssociationProperties(Properties):
    table: Text = mutable("The route table's id.")
    subnet: Text = immutable("The subnet's id.")


class RouteTableAssociation(Kind):
    """Source: EC2 AssociateRouteTable, ReplaceRouteTableAssociation, DisassociateRouteTable, DescribeRouteTables."""

    name = "route_table_association"
    properties = RouteTableAssociationProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeRouteTables", "ec2:DescribeSubnets"),
        "create": ("ec2:AssociateRouteTable", "ec2:ReplaceRouteTableAssociation", "ec2:DescribeRouteTables"),
        "update": ("ec2:ReplaceRouteTableAssociation",),
        "destroy": ("ec2:DisassociateRouteTable",),
    }

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        ours = {item["SubnetId"]: key for key, _, item in tags.found(subnets(reading, scope), scope, "subnet")}
        for table in all_tables(reading):
            for association in table.get("Associations", ()):
                subnet = ours.get(association.get("SubnetId", ""))
                if subnet and _stands(association):
                    yield _observed(association, table["RouteTableId"], subnet)

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        table, subnet = wanted.properties.table, wanted.properties.subnet
        try:
            answer = cloud.call("ec2", "associate_route_table", RouteTableId=table, SubnetId=subnet)
        except AwsError as error:
            if error.code != "Resource.AlreadyAssociated":
                raise
            return {"id": _replace(cloud, _standing_id(cloud, subnet), table)}
        return {"id": answer["AssociationId"]}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "table" in fields:
            return {"id": _replace(cloud, observed.id, wanted.properties.table)}
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        retry.delete(cloud, deadline_s, "ec2", "disassociate_route_table", AssociationId=observed.id)


def _stands(association: tags.Item) -> bool:
    state = association.get("AssociationState", {}).get("State", "associated")
    return state in {"associated", "associating"} and not association.get("Main")


def _observed(association: tags.Item, table_id: str, subnet: Key) -> Observed:
    name = subnet.address.partition("/")[2]
    return Observed(
        key=Key(subnet.environment, f"route_table_association/{name}"),
        properties={"table": table_id, "subnet": association["SubnetId"]},
        attributes={"id": association["RouteTableAssociationId"]},
        references=frozenset({table_id, association["SubnetId"]}),
    )


def _standing_id(cloud: Cloud, subnet_id: str) -> str:
    by_subnet = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
    tables = cloud.call("ec2", "describe_route_tables", Filters=by_subnet)["RouteTables"]
    ids: list[str] = [
        association["RouteTableAssociationId"]
        for table in tables
        for association in table["Associations"]
        if association.get("SubnetId") == subnet_id
    ]
    return ids[0]


def _replace(cloud: Cloud, association_id: str, table_id: str) -> str:
    answer = cloud.call("ec2", "replace_route_table_association", AssociationId=association_id, RouteTableId=table_id)
    return str(answer["NewAssociationId"])
