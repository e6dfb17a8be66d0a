"""A target group: the servers that a balancer sends requests to, and how it finds out whether they are well.

Names are at most 32 letters, digits and hyphens, unique in the region. How long it drains is an attribute, which AWS tells one
target group at a time: a look takes one call for each of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Text, Wanted, immutable, mutable
from saltlick.errors import AwsError
from saltlick.kinds import balancing, retry, tags

CHECKS = {
    "health_path": "HealthCheckPath",
    "interval_s": "HealthCheckIntervalSeconds",
    "timeout_s": "HealthCheckTimeoutSeconds",
    "healthy_count": "HealthyThresholdCount",
    "unhealthy_count": "UnhealthyThresholdCount",
}
DRAIN = "deregistration_delay.timeout_seconds"
"""Source: Elastic Load Balancing API, TargetGroupAttribute. AWS's own default is 300."""


@dataclass(frozen=True, kw_only=True)
class TargetGroupProperties(Properties):
    group_name: str = immutable("Its name in AWS.")
    vpc: Text = immutable("The VPC's id.")
    port: int = immutable("The port that targets listen on, unless their registration says another.")
    protocol: str = immutable("HTTP or HTTPS: how it talks to the targets.", default="HTTP")
    health_path: str = mutable("The path that is asked for to see whether a target is well.", default="/")
    health_codes: str = mutable("The answers that mean it is: `200`, `200-299`.", default="200")
    interval_s: int = mutable("Seconds between two checks of a target, 5 to 300.", default=5)
    timeout_s: int = mutable("Seconds until a check counts as failed, less than `interval_s`.", default=4)
    healthy_count: int = mutable("Good checks in a row until a target gets requests, 2 to 10.", default=2)
    unhealthy_count: int = mutable("Failed checks in a row until it gets none, 2 to 10.", default=2)
    drain_s: int | None = mutable(
        "Seconds for which requests to a target that is taken out may go on, 0 to 3600. Left out: as AWS has it.",
        default=None,
    )


class TargetGroup(Kind):
    """Source: ELBv2 Create-, Modify-, Delete-, DescribeTargetGroup(s), Modify-, DescribeTargetGroupAttributes, DescribeTags."""

    name = "target_group"
    properties = TargetGroupProperties
    attributes = frozenset({"id", "arn"})
    iam: ClassVar = {
        "observe": (
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTags",
            "ec2:DescribeVpcs",
        ),
        "create": (
            "elasticloadbalancing:CreateTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
            "elasticloadbalancing:AddTags",
        ),
        "update": (
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
            "elasticloadbalancing:AddTags",
        ),
        "destroy": ("elasticloadbalancing:DeleteTargetGroup",),
    }
    destroy_after = frozenset({"load_balancer"})

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        balancing.target_groups(reading)  # asked for first, so that the four kinds begin with different calls
        for key, object_tags, group in balancing.our_target_groups(reading, scope):
            yield Observed(
                key=key,
                properties={
                    "group_name": group["TargetGroupName"],
                    "vpc": group["VpcId"],
                    "port": group["Port"],
                    "protocol": group["Protocol"],
                    "health_codes": group.get("Matcher", {}).get("HttpCode"),
                    **{name: group.get(aws_name) for name, aws_name in CHECKS.items()},
                    "drain_s": _drain(reading, group["TargetGroupArn"]),
                },
                attributes=_attributes(group["TargetGroupArn"]),
                references=frozenset({group["VpcId"]}),
                tags=object_tags,
            )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        answer = cloud.call(
            balancing.SERVICE,
            "create_target_group",
            Name=wanted.properties.group_name,
            VpcId=wanted.properties.vpc,
            Port=wanted.properties.port,
            Protocol=wanted.properties.protocol,
            TargetType="instance",
            Tags=tags.as_list(wanted.tags),
            **_checks(wanted.properties),
        )
        arn = answer["TargetGroups"][0]["TargetGroupArn"]
        _set_drain(cloud, arn, wanted.properties.drain_s)
        return _attributes(arn)

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "drain_s" in fields:
            _set_drain(cloud, observed.id, wanted.properties.drain_s)
        if fields - {"tags", "drain_s"}:
            checks = _checks(wanted.properties)
            cloud.call(balancing.SERVICE, "modify_target_group", TargetGroupArn=observed.id, **checks)
        if "tags" in fields:
            balancing.write_tags(cloud, observed.id, dict(wanted.tags))
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Its registrations go with it; waits while a listener still sends to it."""
        retry.delete(
            cloud,
            deadline_s,
            balancing.SERVICE,
            "delete_target_group",
            codes=("ResourceInUse",),
            TargetGroupArn=observed.id,
        )


def _checks(properties: Any) -> dict[str, Any]:
    checks = {aws_name: getattr(properties, name) for name, aws_name in CHECKS.items()}
    return {**checks, "Matcher": {"HttpCode": properties.health_codes}}


def _set_drain(cloud: Cloud, arn: str, seconds: int | None) -> None:
    if seconds is not None:
        attributes = [{"Key": DRAIN, "Value": str(seconds)}]
        cloud.call(balancing.SERVICE, "modify_target_group_attributes", TargetGroupArn=arn, Attributes=attributes)


def _drain(reading: Reading, arn: str) -> int | None:
    """As AWS has it, whoever set it. One call for each group: AWS has none for several."""
    operation = "describe_target_group_attributes"
    try:
        attributes = reading.read(balancing.SERVICE, operation, "Attributes", TargetGroupArn=arn)
    except AwsError as error:
        if error.code != "TargetGroupNotFound":
            raise
        return None  # it went while it was looked at
    return next((int(attribute["Value"]) for attribute in attributes if attribute["Key"] == DRAIN), None)


def _attributes(arn: str) -> dict[str, str]:
    return {"id": arn, "arn": arn}
