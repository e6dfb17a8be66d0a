"""An AWS target group over fakes: deregistered, drained, registered and healthy."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from support.balancers import SERVERS, balancer_of
from support.clock import FakeClock

from saltlick.errors import AwsError
from saltlick.fleet.ports import Traffic


@dataclass
class TargetGroupCloud:
    """As much of two services as the balancer asks. A target leaves `leaves_s` after it was told to, and is well at `well`."""

    clock: FakeClock
    instances: dict = field(
        default_factory=lambda: {"test-app-1": ("i-1", "running"), "test-app-2": ("i-2", "running")}
    )
    leaves_s: float = 3.0
    well: float = 0.0
    reason: str = ""
    broken: bool = False
    targets: dict = field(default_factory=lambda: {("i-1", 80): None, ("i-2", 80): None})
    calls: list = field(default_factory=list)
    region = "us-east-1"

    def call(self, service, operation, /, **parameters):
        self.calls.append(operation)
        if self.broken:
            raise AwsError(operation, "AccessDenied", "no")
        return getattr(self, operation)(**parameters) or {}

    def reading(self):
        return self

    def read(self, service, operation, key, /, **parameters):
        self.calls.append(operation)
        if self.broken:
            raise AwsError(operation, "AccessDenied", "no")
        states = parameters["Filters"][1]["Values"]
        found = [
            {"InstanceId": id_, "State": {"Name": state}, "Tags": [{"Key": "Name", "Value": name.partition("#")[0]}]}
            for name, (id_, state) in self.instances.items()
            if state in states
        ]
        return ({"Instances": found},)

    def describe_target_groups(self, Names):  # noqa: N803
        assert Names == ["test-www"]
        return {"TargetGroups": [{"TargetGroupArn": "arn", "Port": 80}]}

    def deregister_targets(self, TargetGroupArn, Targets):  # noqa: N803
        for each in Targets:
            self.targets[each["Id"], each["Port"]] = self.clock.now() + self.leaves_s

    def register_targets(self, TargetGroupArn, Targets):  # noqa: N803
        self.targets |= {(each["Id"], each["Port"]): None for each in Targets}

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
    aws = TargetGroupCloud(FakeClock())
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
    aws = TargetGroupCloud(FakeClock(), leaves_s=1e9)
    reply = elbv2(aws, drain_s=30).drain(["test-app-1"])["test-app-1"]
    assert (reply.ok, reply.value["how"], reply.value["detail"]) == (True, "timed out", "draining")
    assert aws.clock.now() == pytest.approx(45, abs=1)


def test_targets_are_back_when_healthy():
    aws = TargetGroupCloud(FakeClock(), targets={}, well=12)
    assert all(reply.ok for reply in elbv2(aws).restore(SERVERS).values())
    assert 12 <= aws.clock.now() <= 13.5
    assert set(aws.targets) == {("i-1", 80), ("i-2", 80)}
    never = TargetGroupCloud(FakeClock(), targets={}, well=1e9)
    assert (
        elbv2(never).restore(["test-app-1"])["test-app-1"].error
        == "not in traffic after 60 s; the balancer shows it unhealthy (initial)"
    )


def test_a_target_group_that_nothing_sends_to_is_not_waited_for():
    aws = TargetGroupCloud(FakeClock(), reason="Target.NotInUse")
    reply = elbv2(aws).restore(["test-app-1"])["test-app-1"]
    assert reply.error == "not in traffic after 0 s; the balancer shows it out (unused: Target.NotInUse)"
    assert aws.clock.now() == 0


def test_a_server_whose_instance_is_gone_is_out_and_cannot_come_back():
    aws = TargetGroupCloud(
        FakeClock(), instances={"test-app-1": ("i-1", "terminated"), "test-app-2": ("i-2", "stopped")}
    )
    in_front = elbv2(aws)
    assert in_front.drain(["test-app-1"])["test-app-1"].value["detail"] == "there is no instance of that name"
    replies = in_front.restore(SERVERS)
    assert replies["test-app-1"].error == "cannot be put into traffic: there is no instance of that name"
    assert replies["test-app-2"].error == "cannot be put into traffic: its instance i-2 is stopped, not running"


def test_of_two_instances_with_one_name_the_running_one_is_meant():
    aws = TargetGroupCloud(
        FakeClock(), instances={"test-app-1": ("i-0", "shutting-down"), "test-app-1#2": ("i-1", "running")}
    )
    assert elbv2(aws).look(["test-app-1"])["test-app-1"].traffic is Traffic.IN


def test_what_aws_refuses_is_said_and_nobody_is_supposed_to_be_anywhere():
    in_front = elbv2(TargetGroupCloud(FakeClock(), broken=True))
    assert in_front.look(["a"])["a"].traffic is Traffic.UNKNOWN
    for replies in (in_front.drain(["a"]), in_front.restore(["a"])):
        assert "AccessDenied" in replies["a"].error


def test_a_look_that_aws_refuses_once_does_not_end_the_wait():
    aws = TargetGroupCloud(FakeClock())
    in_front = elbv2(aws)
    in_front.look(SERVERS)
    answer, aws.describe_target_health = aws.describe_target_health, None
    seen = []

    def sometimes(TargetGroupArn):  # noqa: N803
        seen.append(aws.clock.now())
        if len(seen) == 3:
            raise AwsError("describe_target_health", "Throttling", "slower")
        return answer(TargetGroupArn)

    aws.describe_target_health = sometimes
    assert in_front.drain(["test-app-1"])["test-app-1"].value["how"] == "drained"
    assert len(seen) > 3
