"""An internet gateway: connects a VPC to the internet.

Creating and attaching it are two calls. One that was cut off in between shows `vpc` as missing, and update attaches it.
AWS does not let go of it while anything in the VPC still has a public address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Text, Wanted, mutable
from saltlick.kinds import retry, tags


@dataclass(frozen=True, kw_only=True)
class InternetGatewayProperties(Properties):
    vpc: Text = mutable("The id of the VPC it is attached to; a VPC has one at most.")


class InternetGateway(Kind):
    """Source: EC2 CreateInternetGateway, AttachInternetGateway, DetachInternetGateway, DeleteInternetGateway."""

    name = "internet_gateway"
    properties = InternetGatewayProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeInternetGateways",),
        "create": ("ec2:CreateInternetGateway", "ec2:CreateTags", "ec2:AttachInternetGateway"),
        "update": ("ec2:AttachInternetGateway", "ec2:DetachInternetGateway", "ec2:CreateTags"),
        "destroy": ("ec2:DetachInternetGateway", "ec2:DeleteInternetGateway"),
    }
    destroy_after = frozenset({"nat_gateway", "elastic_ip", "instance", "load_balancer"})

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        items = reading.read("ec2", "describe_internet_gateways", "InternetGateways", Filters=tags.ours(scope))
        for key, object_tags, gateway in tags.found(items, scope, self.name):
            vpc = next((a["VpcId"] for a in gateway.get("Attachments", ()) if a["State"] != "detached"), None)
            yield Observed(
                key=key,
                properties={"vpc": vpc},
                attributes={"id": gateway["InternetGatewayId"]},
                references=frozenset({vpc} if vpc else ()),
                tags=object_tags,
            )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        answer = cloud.call(
            "ec2",
            "create_internet_gateway",
            TagSpecifications=tags.in_create("internet-gateway", wanted.tags),
        )
        gateway_id = answer["InternetGateway"]["InternetGatewayId"]
        _attach(cloud.patient(wanted.deadline_s), gateway_id, wanted.properties.vpc)
        return {"id": gateway_id}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "vpc" in fields:
            _detach(cloud, observed, wanted.deadline_s)
            _attach(cloud, observed.id, wanted.properties.vpc)
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Waits while public addresses in the VPC are still being taken away."""
        _detach(cloud, observed, deadline_s)
        retry.delete(cloud, deadline_s, "ec2", "delete_internet_gateway", InternetGatewayId=observed.id)


def _attach(cloud: Cloud, gateway_id: str, vpc_id: str) -> None:
    cloud.call("ec2", "attach_internet_gateway", InternetGatewayId=gateway_id, VpcId=vpc_id)


def _detach(cloud: Cloud, observed: Observed, deadline_s: float) -> None:
    vpc_id = observed.properties["vpc"]
    if vpc_id:
        retry.delete(
            cloud,
            deadline_s,
            "ec2",
            "detach_internet_gateway",
            gone=("Gateway.NotAttached",),
            InternetGatewayId=observed.id,
            VpcId=vpc_id,
        )
