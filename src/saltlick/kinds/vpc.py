"""A virtual network: the ground every other object of an environment stands on.

AWS makes a main route table, a network ACL and a security group `default` with it; they carry no tag of ours, nothing
uses them, and they go with the VPC. There may be 5 VPCs in a region unless the quota was raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Wanted, immutable, mutable
from saltlick.kinds import retry, tags


@dataclass(frozen=True, kw_only=True)
class VpcProperties(Properties):
    cidr: str = immutable("The network's IPv4 range, /16 to /28: `10.10.0.0/16`.")
    dns_hostnames: bool | None = mutable(
        "Whether instances with a public address get a public DNS name. Unset: left as it is (AWS starts with no).",
        default=None,
    )


class Vpc(Kind):
    """Source: EC2 CreateVpc, DescribeVpcs, ModifyVpcAttribute, DeleteVpc."""

    name = "vpc"
    properties = VpcProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeVpcs", "ec2:DescribeVpcAttribute"),
        "create": ("ec2:CreateVpc", "ec2:CreateTags", "ec2:ModifyVpcAttribute"),
        "update": ("ec2:ModifyVpcAttribute", "ec2:CreateTags"),
        "destroy": ("ec2:DeleteVpc",),
    }

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        """One call, and one more for each VPC whose `dns_hostnames` is managed: AWS tells it no other way."""
        managed = {r.key for r in scope.of_kind(self.name) if getattr(r.properties, "dns_hostnames", None) is not None}
        items = reading.read("ec2", "describe_vpcs", "Vpcs", Filters=tags.ours(scope))
        for key, object_tags, vpc in tags.found(items, scope, self.name):
            properties: dict[str, Any] = {"cidr": vpc["CidrBlock"]}
            if key in managed:
                properties["dns_hostnames"] = _dns_hostnames(reading, vpc["VpcId"])
            yield Observed(key=key, properties=properties, attributes={"id": vpc["VpcId"]}, tags=object_tags)

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        answer = cloud.call(
            "ec2",
            "create_vpc",
            CidrBlock=wanted.properties.cidr,
            TagSpecifications=tags.in_create("vpc", wanted.tags),
        )
        vpc_id = answer["Vpc"]["VpcId"]
        if wanted.properties.dns_hostnames:
            _set_dns_hostnames(cloud.patient(wanted.deadline_s), vpc_id, True)
        return {"id": vpc_id}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "dns_hostnames" in fields:
            _set_dns_hostnames(cloud, observed.id, wanted.properties.dns_hostnames)
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        retry.delete(cloud, deadline_s, "ec2", "delete_vpc", VpcId=observed.id)


def _dns_hostnames(reading: Reading, vpc_id: str) -> bool:
    (answer,) = reading.read(
        "ec2", "describe_vpc_attribute", "EnableDnsHostnames", VpcId=vpc_id, Attribute="enableDnsHostnames"
    )
    return bool(answer["Value"])


def _set_dns_hostnames(cloud: Cloud, vpc_id: str, value: bool) -> None:
    cloud.call("ec2", "modify_vpc_attribute", VpcId=vpc_id, EnableDnsHostnames={"Value": value})
