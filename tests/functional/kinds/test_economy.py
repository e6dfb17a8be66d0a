"""A look at AWS costs the same few calls however much there is."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING

from saltlick.engine.observe import collect
from saltlick.engine.resource import Scope
from saltlick.kinds import KINDS

from .estate import BY_ADDRESS, ESTATE
from .world import World, having

if TYPE_CHECKING:
    from saltlick.aws import AwsCloud

    from .conftest import Call

SKIPPED = {"internet_gateway/other", "target_group/api", "iam_role/other", "instance_profile/other"}
ALL = [r for r in ESTATE if r.key.address not in SKIPPED]


def look(cloud: AwsCloud, calls: list[Call], world: World) -> Counter[Call]:
    """As `engine.observe` does it, but one kind after the other: moto in one process does not bear threads."""
    calls.clear()
    reading, scope = cloud.reading(), Scope(("control", "prod"), {r.key: r for r in ALL})
    snapshot = collect(observed for kind in KINDS.values() for observed in kind.observe(reading, scope))
    assert set(snapshot.objects) >= {r.key for r in ALL}
    assert snapshot.duplicates == ()
    return Counter(calls)


def test_every_question_is_asked_once_and_more_of_the_same_costs_nothing(cloud: AwsCloud, calls: list[Call]) -> None:
    world = World(cloud, ALL)
    for resource in ALL:
        if resource.key not in world.made:
            world.make(resource)
    few = look(cloud, calls, world)
    assert {call: count for call, count in few.items() if count > 1} == {}
    assert sum(few.values()) <= 28  # with a bucket (6), a target group (2), a key pair and DNS host names
    for number in range(20):
        subnet = having(BY_ADDRESS["subnet/c"], cidr=f"10.10.{100 + number}.0/24")
        world.make(dataclasses.replace(subnet, name=f"more-{number}"))
    assert look(cloud, calls, world) == few
