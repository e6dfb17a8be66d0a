"""An AWS target group over fakes: deregistered, drained, registered and healthy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.balancers import SERVERS, balancer_of
from support.cloud import FakeCloud

from saltlick.errors import AwsError
from saltlick.fleet.ports import Traffic


@dataclass
class TargetGroupCloud(FakeCloud):
    """As much of two services as the balancer asks. A target leaves `leaves_s` after it was told to, and is well at `well`."""

    instances: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {"test-app-1": ("i-1", "running"), "test-app-2": ("i-2", "running")}
    )
    """Id and state by name."""
    leaves_s: float = 3.0
    well: float = 0.0
    reason: str = ""
    broken: bool = False
    throttled: tuple[str, int] = ("", 0)
    """An operation and which of its calls is refused, counted from 1."""
    targets: dict[tuple[str, int], float | None] = field(default_factory=lambda: {("i-1", 80): None, ("i-2", 80): None})
    """Until when a target that was told to leave stays."""
    calls: list[str] = field(default_factory=list)

    def _count(self, operation: str) -> None:
        self.calls.append(operation)
        if self.broken:
            raise AwsError(operation, "AccessDenied", "no")
        if self.throttled == (operation, self.calls.count(operation)):
            raise AwsError(operation, "Throttling", "slower")

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        self._count(operation)
        return getattr(self, operation)(**parameters) or {}

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        self._count(operation)
        states = parameters["Filters"][1]["Values"]
        instances = [
            {"InstanceId": id_, "State": {"Name": state}, "Tags": [{"Key": "Name", "Value": name.partition("#")[0]}]}
            for name, (id_, state) in self.instances.items()
            if state in states
        ]
        return ({"Instances": instances},)

    def describe_target_groups(self, Names):  # noqa: N803
        assert Names == ["test-www"]
        return {"TargetGroups": [{"TargetGroupArn": "arn", "Port": 80}]}

    def deregister_targets(self, TargetGroupArn, Targets):  # noqa: N803
        for target in Targets:
            self.targets[target["Id"], target["Port"]] = self.clock.now() + self.leaves_s

    def register_targets(self, TargetGroupArn, Targets):  # noqa: N803
        self.targets |= {(target["Id"], target["Port"]): None for target in Targets}

    def describe_target_health(self, TargetGroupArn):  # noqa: N803
        now = self.clock.now()
        self.targets = {key: until for key, until in self.targets.items() if until is None or until > now}
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": id_, "Port": port}, "TargetHealth": self._health(until)}
                for (id_, port), until in self.targets.items()
            ]
        }

    def _health(self, until):
        if self.reason:
            return {"State": "unused", "Reason": self.reason}
        return {"State": "draining" if until else "healthy" if self.clock.now() >= self.well else "initial"}


def elbv2(aws, **spec):
    return balancer_of({"kind": "elbv2", "name": "www", **spec}, aws.clock, cloud=lambda: aws)


def test_targets_are_out_when_they_have_left_draining():
    aws = TargetGroupCloud()
    in_front = elbv2(aws)
    assert {seen.traffic for seen in in_front.look(SERVERS).values()} == {Traffic.IN}
    replies = in_front.drain(SERVERS)
    assert [reply.value for reply in replies.values()] == [{"how": "drained", "detail": "not registered"}] * 2
    assert 3 <= aws.clock.now() <= 4.3
    assert in_front.look(["test-app-1"])["test-app-1"].traffic is Traffic.OUT
    again = in_front.drain(SERVERS)
    assert all(reply.ok for reply in again.values())
    assert aws.calls.count("deregister_targets") == 1, "who is out need not leave again"


def test_a_target_that_goes_on_draining_is_out_anyway_and_that_is_said():
    aws = TargetGroupCloud(leaves_s=1e9)
    reply = elbv2(aws, drain_s=30).drain(["test-app-1"])["test-app-1"]
    assert (reply.ok, reply.value["how"], reply.value["detail"]) == (True, "timed out", "draining")
    assert aws.clock.now() == pytest.approx(45, abs=1)


def test_targets_are_back_when_healthy():
    aws = TargetGroupCloud(targets={}, well=12)
    assert all(reply.ok for reply in elbv2(aws).restore(SERVERS).values())
    assert 12 <= aws.clock.now() <= 13.5
    assert set(aws.targets) == {("i-1", 80), ("i-2", 80)}
    never = TargetGroupCloud(targets={}, well=1e9)
    assert (
        elbv2(never).restore(["test-app-1"])["test-app-1"].error
        == "not in traffic after 60 s; the balancer shows it unhealthy (initial)"
    )


def test_a_target_group_that_nothing_sends_to_is_not_waited_for():
    aws = TargetGroupCloud(reason="Target.NotInUse")
    reply = elbv2(aws).restore(["test-app-1"])["test-app-1"]
    assert reply.error == "not in traffic after 0 s; the balancer shows it out (unused: Target.NotInUse)"
    assert aws.clock.now() == 0


def test_a_server_whose_instance_is_gone_is_out_and_cannot_come_back():
    aws = TargetGroupCloud(instances={"test-app-1": ("i-1", "terminated"), "test-app-2": ("i-2", "stopped")})
    in_front = elbv2(aws)
    assert in_front.drain(["test-app-1"])["test-app-1"].value["detail"] == "there is no instance of that name"
    replies = in_front.restore(SERVERS)
    assert replies["test-app-1"].error == "cannot be put into traffic: there is no instance of that name"
    assert replies["test-app-2"].error == "cannot be put into traffic: its instance i-2 is stopped, not running"


def test_of_two_instances_with_one_name_the_running_one_is_meant():
    aws = TargetGroupCloud(instances={"test-app-1": ("i-0", "shutting-down"), "test-app-1#2": ("i-1", "running")})
    assert elbv2(aws).look(["test-app-1"])["test-app-1"].traffic is Traffic.IN


def test_what_aws_refuses_is_said_and_nobody_is_supposed_to_be_anywhere():
    in_front = elbv2(TargetGroupCloud(broken=True))
    assert in_front.look(["a"])["a"].traffic is Traffic.UNKNOWN
    for replies in (in_front.drain(["a"]), in_front.restore(["a"])):
        assert "AccessDenied" in replies["a"].error


def test_a_look_that_aws_refuses_once_does_not_end_the_wait():
    looks = "describe_target_health"
    aws = TargetGroupCloud()
    in_front = elbv2(aws)
    in_front.look(SERVERS)
    before = aws.calls.count(looks)
    aws.throttled = (looks, before + 3)
    assert in_front.drain(["test-app-1"])["test-app-1"].value["how"] == "drained"
    assert aws.calls.count(looks) > before + 3
