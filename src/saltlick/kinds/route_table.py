"""A route table: where packets from its subnets go. It starts with the VPC's own range as `local`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Text, Wanted, immutable
from saltlick.kinds import retry, tags


@dataclass(frozen=True, kw_only=True)
class RouteTableProperties(Properties):
    vpc: Text = immutable("The VPC's id.")


class RouteTable(Kind):
    """Source: EC2 CreateRouteTable, DescribeRouteTables, DeleteRouteTable."""

    name = "route_table"
    properties = RouteTableProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeRouteTables",),
        "create": ("ec2:CreateRouteTable", "ec2:CreateTags"),
        "update": ("ec2:CreateTags",),
        "destroy": ("ec2:DeleteRouteTable",),
    }

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for key, object_tags, table in tags.found(all_tables(reading), scope, self.name):
            yield Observed(
                key=key,
                properties={"vpc": table["VpcId"]},
                attributes={"id": table["RouteTableId"]},
                references=frozenset({table["VpcId"]}),
                tags=object_tags,
            )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        answer = cloud.call(
            "ec2",
            "create_route_table",
            VpcId=wanted.properties.vpc,
            TagSpecifications=tags.in_create("route-table", wanted.tags),
        )
        return {"id": answer["RouteTable"]["RouteTableId"]}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Its routes go with it; waits while a subnet is still associated."""
        retry.delete(cloud, deadline_s, "ec2", "delete_route_table", RouteTableId=observed.id)


def all_tables(reading: Reading) -> tuple[tags.Item, ...]:
    """Every route table that Saltlick made, of any environment: a peering's routes stand in its peers' tables too.

    Tables, routes and associations are all in this one answer.
    """
    return reading.read("ec2", "describe_route_tables", "RouteTables", Filters=tags.anybodys())
