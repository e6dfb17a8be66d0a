"""Which servers are in a target group: all of them, as one resource named by the group.

A target that is draining has been taken out already and does not count. AWS takes running servers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
from saltlick.kinds import balancing

Target = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class TargetRegistrationProperties(Properties):
    target_group: Text = immutable("The target group's ARN.")
    targets: tuple[Text, ...] = mutable("The ids of the servers in it: all of them; others are taken out.")
    port: int = mutable("The port that requests are sent to.")


class TargetRegistration(Kind):
    """Source: ELBv2 RegisterTargets, DeregisterTargets, DescribeTargetHealth."""

    name = "target_registration"
    properties = TargetRegistrationProperties
    iam: ClassVar = {
        "observe": (
            "elasticloadbalancing:DescribeTargetHealth",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTags",
            "ec2:DescribeVpcs",
        ),
        "create": ("elasticloadbalancing:RegisterTargets",),
        "update": (
            "elasticloadbalancing:RegisterTargets",
            "elasticloadbalancing:DeregisterTargets",
            "elasticloadbalancing:DescribeTargetHealth",
        ),
        "destroy": ("elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:DescribeTargetHealth"),
    }
    dies_with: ClassVar[frozenset[str]] = frozenset({"target_group"})

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        """One call for each of the scope's target groups: AWS lists targets no other way."""
        for group_key, _, group in balancing.our_target_groups(reading, scope):
            key = Key(group_key.environment, f"{self.name}/{group_key.address.partition('/')[2]}")
            arn = group["TargetGroupArn"]
            health = reading.read(
                balancing.SERVICE, "describe_target_health", "TargetHealthDescriptions", TargetGroupArn=arn
            )
            registered = _targets(health)
            if registered or key in scope.wanted:
                yield _observed(key, arn, registered)

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        _register(cloud, wanted.properties.target_group, _right(wanted))
        return {"id": wanted.properties.target_group}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        """Puts in what is missing before it takes out what is too much."""
        if fields - {"tags"}:
            registered, right = _look(cloud, observed.id), _right(wanted)
            _register(cloud, observed.id, right - registered)
            _deregister(cloud, observed.id, registered - right)
            _register(cloud, observed.id, _taken_along(registered - right, right))
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Takes all out; does not wait until they are drained."""
        try:
            _deregister(cloud, observed.id, _look(cloud, observed.id))
        except AwsError as error:
            if not error.not_found:
                raise

    def normalise(self, field_name: str, value: Any) -> Any:
        return tuple(sorted(value)) if field_name == "targets" else value


def _observed(key: Key, arn: str, registered: frozenset[Target]) -> Observed:
    """Targets on several ports are reported as port 0, which is never declared, so that update corrects them."""
    targets = tuple(sorted({target for target, _ in registered}))
    ports = {port for _, port in registered}
    port = {"port": ports.pop() if len(ports) == 1 else 0} if ports else {}
    return Observed(
        key=key,
        properties={"target_group": arn, "targets": targets, **port},
        attributes={"id": arn},
        references=frozenset({arn, *targets}),
    )


def _right(wanted: Wanted) -> frozenset[Target]:
    return frozenset((target, wanted.properties.port) for target in wanted.properties.targets)


def _targets(health: Iterable[Any]) -> frozenset[Target]:
    return frozenset(
        (item["Target"]["Id"], item["Target"]["Port"]) for item in health if item["TargetHealth"]["State"] != "draining"
    )


def _taken_along(surplus: frozenset[Target], right: frozenset[Target]) -> frozenset[Target]:
    """Targets that were taken out on one port and are wanted on another: where that took out both, they come back."""
    taken = {target for target, _ in surplus}
    return frozenset((target, port) for target, port in right if target in taken)


def _look(cloud: Cloud, arn: str) -> frozenset[Target]:
    answer = cloud.call(balancing.SERVICE, "describe_target_health", TargetGroupArn=arn)
    return _targets(answer["TargetHealthDescriptions"])


def _register(cloud: Cloud, arn: str, targets: frozenset[Target]) -> None:
    if targets:
        cloud.call(balancing.SERVICE, "register_targets", TargetGroupArn=arn, Targets=_as_list(targets))


def _deregister(cloud: Cloud, arn: str, targets: frozenset[Target]) -> None:
    if targets:
        cloud.call(balancing.SERVICE, "deregister_targets", TargetGroupArn=arn, Targets=_as_list(targets))


def _as_list(targets: frozenset[Target]) -> list[dict[str, Any]]:
    return [{"Id": target, "Port": port} for target, port in sorted(targets)]
