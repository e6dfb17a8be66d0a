"""A part of a VPC's range in one availability zone.

AWS keeps five addresses of each subnet for itself. A subnet in no route table association follows the VPC's main table,
so each of ours gets one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Text, Wanted, immutable, mutable
from saltlick.kinds import retry, tags


@dataclass(frozen=True, kw_only=True)
class SubnetProperties(Properties):
    vpc: Text = immutable("The VPC's id.")
    cidr: str = immutable("Its IPv4 range, within the VPC's.")
    zone: str = immutable("The availability zone: `us-east-1a`.")
    map_public_ip: bool = mutable("Whether instances started in it get a public address.", default=False)


class Subnet(Kind):
    """Source: EC2 CreateSubnet, DescribeSubnets, ModifySubnetAttribute, DeleteSubnet."""

    name = "subnet"
    properties = SubnetProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeSubnets",),
        "create": ("ec2:CreateSubnet", "ec2:CreateTags", "ec2:ModifySubnetAttribute"),
        "update": ("ec2:ModifySubnetAttribute", "ec2:CreateTags"),
        "destroy": ("ec2:DeleteSubnet",),
    }

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for key, object_tags, subnet in tags.found(subnets(reading, scope), scope, self.name):
            yield Observed(
                key=key,
                properties={
                    "vpc": subnet["VpcId"],
                    "cidr": subnet["CidrBlock"],
                    "zone": subnet["AvailabilityZone"],
                    "map_public_ip": bool(subnet.get("MapPublicIpOnLaunch")),
                },
                attributes={"id": subnet["SubnetId"]},
                references=frozenset({subnet["VpcId"]}),
                tags=object_tags,
            )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        properties = wanted.properties
        answer = cloud.call(
            "ec2",
            "create_subnet",
            VpcId=properties.vpc,
            CidrBlock=properties.cidr,
            AvailabilityZone=properties.zone,
            TagSpecifications=tags.in_create("subnet", wanted.tags),
        )
        subnet_id = answer["Subnet"]["SubnetId"]
        if properties.map_public_ip:
            _set_map_public_ip(cloud.patient(wanted.deadline_s), subnet_id, True)
        return {"id": subnet_id}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "map_public_ip" in fields:
            _set_map_public_ip(cloud, observed.id, wanted.properties.map_public_ip)
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Waits while network interfaces of instances, NAT gateways or load balancers are still on their way out."""
        retry.delete(cloud, deadline_s, "ec2", "delete_subnet", SubnetId=observed.id)


def subnets(reading: Reading, scope: Scope) -> tuple[tags.Item, ...]:
    """The scope's subnets; associations take their names from them."""
    return reading.read("ec2", "describe_subnets", "Subnets", Filters=tags.ours(scope))


def _set_map_public_ip(cloud: Cloud, subnet_id: str, value: bool) -> None:
    cloud.call("ec2", "modify_subnet_attribute", SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": value})
