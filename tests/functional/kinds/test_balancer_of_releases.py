"""The elbv2 balancer of releases on moto: the target group that the environment made, and what AWS says of its targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from saltlick.engine.resource import Scope
from saltlick.errors import AwsError
from saltlick.fleet.balancers import BalancerContext, balancer
from saltlick.fleet.ports import Traffic
from saltlick.kinds import KINDS
from saltlick.release.pillar import Recipe

from .estate import BY_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.aws import AwsCloud
    from saltlick.engine.ports import Reading
    from saltlick.fleet.ports import Balancer

    from .world import World

SERVERS = ("prod-app-1", "prod-app-2")
RECIPE: dict[str, Any] = {
    "application": "app",
    "servers": "app",
    "source": {"repository": "x", "directory": "/srv/app"},
    "balancer": {"kind": "elbv2", "name": "www"},
}


@pytest.fixture
def www(world: World, cloud: AwsCloud) -> Balancer:
    """Two servers, of which the first is in the target group that a listener sends to."""
    for address in ("listener/www:80", "target_registration/www", "instance/app-2"):
        world.make(BY_ADDRESS[address])
    nobody: Any = None
    return balancer(
        Recipe.model_validate(RECIPE), BalancerContext("prod", nobody, nobody, nobody, lambda: cloud, cloud.clock)
    )


def test_out_of_the_target_group_and_back(www: Balancer, world: World) -> None:
    assert [seen.traffic for seen in www.look(SERVERS).values()] == [Traffic.IN, Traffic.OUT]
    replies = www.drain(SERVERS)
    assert [reply.value["how"] for reply in replies.values()] == ["drained", "drained"]
    assert world.require(BY_ADDRESS["target_registration/www"]).properties["targets"] == ()
    assert all(reply.ok for reply in www.drain(SERVERS).values()), "may be repeated"
    assert all(reply.ok for reply in www.restore(SERVERS).values())
    assert all(reply.ok for reply in www.restore(SERVERS).values())
    assert {seen.traffic for seen in www.look(SERVERS).values()} == {Traffic.IN}
    assert world.require(BY_ADDRESS["target_registration/www"]).properties["port"] == 80


def test_a_server_whose_instance_is_gone(www: Balancer, world: World, cloud: AwsCloud) -> None:
    gone = world.made[BY_ADDRESS["instance/app-1"].key]["id"]
    cloud.call("ec2", "terminate_instances", InstanceIds=[gone])
    reply = www.drain(["prod-app-1"])["prod-app-1"]
    assert (reply.ok, reply.value["detail"]) == (True, "there is no instance of that name")
    assert "there is no instance of that name" in www.restore(["prod-app-1"])["prod-app-1"].error


def test_a_server_that_is_stopped(www: Balancer, world: World, cloud: AwsCloud) -> None:
    stopped = world.made[BY_ADDRESS["instance/app-1"].key]["id"]
    cloud.call("ec2", "stop_instances", InstanceIds=[stopped])
    assert www.look(["prod-app-1"])["prod-app-1"].traffic is Traffic.OUT
    assert www.drain(["prod-app-1"])["prod-app-1"].ok
    assert f"its instance {stopped} is stopped, not running" in www.restore(["prod-app-1"])["prod-app-1"].error


def test_a_balancer_that_is_not_there_is_said(world: World, cloud: AwsCloud) -> None:
    nobody: Any = None
    alone = balancer(
        Recipe.model_validate(RECIPE), BalancerContext("prod", nobody, nobody, nobody, lambda: cloud, cloud.clock)
    )
    assert alone.look(["prod-app-1"])["prod-app-1"].traffic is Traffic.UNKNOWN
    assert "TargetGroupNotFound" in alone.drain(["prod-app-1"])["prod-app-1"].error


def test_the_targets_drain_for_as_long_as_the_pillar_says(world: World, cloud: AwsCloud) -> None:
    arn = world.make(BY_ADDRESS["target_group/www"])["arn"]
    attributes = cloud.call("elbv2", "describe_target_group_attributes", TargetGroupArn=arn)["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "30"} in attributes
    assert world.require(BY_ADDRESS["target_group/www"]).properties["drain_s"] == 30


def test_a_delay_that_somebody_else_set_is_drift_and_is_put_right(world: World, cloud: AwsCloud) -> None:
    """Read is what AWS has: no tag of ours says it."""
    group = BY_ADDRESS["target_group/www"]
    arn = world.make(group)["arn"]
    attributes = [{"Key": "deregistration_delay.timeout_seconds", "Value": "300"}]
    cloud.call("elbv2", "modify_target_group_attributes", TargetGroupArn=arn, Attributes=attributes)
    assert world.require(group).properties["drain_s"] == 300
    assert [(change.field, change.old, change.new) for change in world.differences(group)] == [("drain_s", 300, 30)]
    world.update(group)
    assert not world.differences(group)


class Gone:
    """A reading in which the target group goes before its attributes are asked for."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        if operation == "describe_target_group_attributes":
            raise AwsError("DescribeTargetGroupAttributes", "TargetGroupNotFound", "not found")
        return self._reading.read(service, operation, key, **parameters)


def test_a_group_that_goes_while_it_is_looked_at_is_no_error(world: World, cloud: AwsCloud) -> None:
    group = BY_ADDRESS["target_group/www"]
    world.make(group)
    scope = Scope(("prod",), {group.key: group})
    seen = list(KINDS["target_group"].observe(Gone(cloud.reading()), scope))
    assert [observed.properties["drain_s"] for observed in seen] == [None]
