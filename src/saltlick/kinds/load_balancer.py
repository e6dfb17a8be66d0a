"""An application load balancer: the entry point for HTTP traffic, in two zones or more.

AWS takes two to three minutes to bring one up. A deleted one is gone at once, but its network interfaces hold subnets,
security groups and the internet gateway for some minutes more; their deletion waits for that. Names are at most 32 letters,
digits and hyphens, unique in the region.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Text, Wanted, immutable, mutable
from saltlick.engine.wait import until
from saltlick.errors import AwsError
from saltlick.kinds import balancing, retry, tags

ASKED_BY_ELB = (
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:GetSecurityGroupsForVpc",
)
"""What Elastic Load Balancing looks at in the caller's name before it makes or moves a balancer."""


@dataclass(frozen=True, kw_only=True)
class LoadBalancerProperties(Properties):
    balancer_name: str = immutable("Its name in AWS.")
    subnets: tuple[Text, ...] = mutable("The subnets it stands in, one per zone, two at least.")
    security_groups: tuple[Text, ...] = mutable("The ids of its security groups.")
    scheme: str = immutable("`internet-facing` or `internal`.", default="internet-facing")


class LoadBalancer(Kind):
    """Source: ELBv2 CreateLoadBalancer, SetSubnets, SetSecurityGroups, DeleteLoadBalancer, DescribeLoadBalancers."""

    name = "load_balancer"
    properties = LoadBalancerProperties
    attributes = frozenset({"id", "arn", "dns_name"})
    iam: ClassVar = {
        "observe": (
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTags",
            "ec2:DescribeVpcs",
        ),
        "create": (
            "elasticloadbalancing:CreateLoadBalancer",
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:DescribeLoadBalancers",
            "iam:CreateServiceLinkedRole",
            *ASKED_BY_ELB,
        ),
        "update": (
            "elasticloadbalancing:SetSubnets",
            "elasticloadbalancing:SetSecurityGroups",
            *ASKED_BY_ELB,
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:DescribeLoadBalancers",
        ),
        "destroy": ("elasticloadbalancing:DeleteLoadBalancer",),
    }
    settles = True

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for key, object_tags, balancer in balancing.our_balancers(reading, scope):
            subnets = sorted(zone["SubnetId"] for zone in balancer["AvailabilityZones"])
            groups = sorted(balancer.get("SecurityGroups", ()))
            yield Observed(
                key=key,
                properties={
                    "balancer_name": balancer["LoadBalancerName"],
                    "subnets": tuple(subnets),
                    "security_groups": tuple(groups),
                    **({"scheme": balancer["Scheme"]} if balancer.get("Scheme") else {}),
                },
                attributes=_attributes(balancer),
                references=frozenset({*subnets, *groups}),
                tags=object_tags,
                pending=balancer["State"]["Code"] == "provisioning",
            )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        properties = wanted.properties
        answer = cloud.call(
            balancing.SERVICE,
            "create_load_balancer",
            Name=properties.balancer_name,
            Subnets=list(properties.subnets),
            SecurityGroups=list(properties.security_groups),
            Scheme=properties.scheme,
            Type="application",
            Tags=tags.as_list(wanted.tags),
        )
        return _attributes(answer["LoadBalancers"][0])

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        properties, arn = wanted.properties, observed.id
        if "subnets" in fields:
            cloud.call(balancing.SERVICE, "set_subnets", LoadBalancerArn=arn, Subnets=list(properties.subnets))
        if "security_groups" in fields:
            groups = list(properties.security_groups)
            cloud.call(balancing.SERVICE, "set_security_groups", LoadBalancerArn=arn, SecurityGroups=groups)
        if "tags" in fields:
            balancing.write_tags(cloud, arn, dict(wanted.tags))
        return observed.attributes

    def settle(self, cloud: Cloud, attributes: Attributes, deadline_s: float) -> Attributes:
        """Wait until it takes requests. Raises: AwsError with AWS's reason when it failed; WaitTimeout."""
        if attributes["state"] == "active":
            return attributes
        balancer = until(
            lambda: _look(cloud, attributes["id"]),
            lambda seen: seen["State"]["Code"] != "provisioning",
            what=f"load balancer {attributes['id']} active",
            describe=lambda seen: str(seen["State"]["Code"]),
            deadline_s=deadline_s,
            clock=cloud.clock,
        )
        state = balancer["State"]
        if state["Code"] == "failed":
            raise AwsError(f"load balancer {attributes['id']}", state["Code"], state.get("Reason", ""))
        return _attributes(balancer)

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Its listeners go with it."""
        retry.delete(cloud, deadline_s, balancing.SERVICE, "delete_load_balancer", LoadBalancerArn=observed.id)

    def normalise(self, field_name: str, value: Any) -> Any:
        return tuple(sorted(value)) if field_name in {"subnets", "security_groups"} else value


def _look(cloud: Cloud, arn: str) -> tags.Item:
    item: tags.Item = cloud.call(balancing.SERVICE, "describe_load_balancers", LoadBalancerArns=[arn])["LoadBalancers"][
        0
    ]
    return item


def _attributes(balancer: tags.Item) -> dict[str, str]:
    arn = balancer["LoadBalancerArn"]
    return {"id": arn, "arn": arn, "dns_name": balancer["DNSName"], "state": balancer["State"]["Code"]}
