"""A security group: a named set of things that the same firewall rules hold for. Its rules are `security_group_rules`.

The name is unique within its VPC and cannot be changed, nor can the description. AWS gives each new group one rule: all
traffic out is allowed. That one stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Text, Wanted, immutable
from saltlick.kinds import retry, tags


@dataclass(frozen=True, kw_only=True)
class SecurityGroupProperties(Properties):
    vpc: Text = immutable("The VPC's id.")
    group_name: str = immutable("Its name in AWS, unique within the VPC.")
    description: str = immutable("What it is for; AWS wants one and never lets it change.")


class SecurityGroup(Kind):
    """Source: EC2 CreateSecurityGroup, DescribeSecurityGroups, DeleteSecurityGroup."""

    name = "security_group"
    properties = SecurityGroupProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeSecurityGroups",),
        "create": ("ec2:CreateSecurityGroup", "ec2:CreateTags"),
        "update": ("ec2:CreateTags",),
        "destroy": ("ec2:DeleteSecurityGroup",),
    }

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for key, object_tags, group in tags.found(groups(reading, scope), scope, self.name):
            yield Observed(
                key=key,
                properties={
                    "vpc": group["VpcId"],
                    "group_name": group["GroupName"],
                    "description": group["Description"],
                },
                attributes={"id": group["GroupId"]},
                references=frozenset({group["VpcId"]}),
                tags=object_tags,
            )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        answer = cloud.call(
            "ec2",
            "create_security_group",
            VpcId=wanted.properties.vpc,
            GroupName=wanted.properties.group_name,
            Description=wanted.properties.description,
            TagSpecifications=tags.in_create("security-group", wanted.tags),
        )
        return {"id": answer["GroupId"]}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Waits while a network interface or another group's rule still names it."""
        retry.delete(cloud, deadline_s, "ec2", "delete_security_group", GroupId=observed.id)


def groups(reading: Reading, scope: Scope) -> tuple[tags.Item, ...]:
    """The scope's security groups with their rules in them."""
    return reading.read("ec2", "describe_security_groups", "SecurityGroups", Filters=tags.ours(scope))
