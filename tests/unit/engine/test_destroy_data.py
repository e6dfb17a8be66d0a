"""What holds data is not destroyed with its environment: it is refused before anything is touched, or kept by name."""

from __future__ import annotations

from typing import Any

import pytest
from support.engine_world import KINDS, Net, World, box, net

from saltlick.engine.plan import Plan
from saltlick.environment import provision
from saltlick.errors import InvalidInput

A, B = net(), net("b", "10.1.0.0/16")
APP = box("app", A)


class Full(Net):
    """A network that holds data as long as it stands at that address."""

    def holds(self, cloud: Any, observed: Any) -> str:
        return "net b is not empty" if observed.properties["cidr"] == "10.1.0.0/16" else ""


FULL = {**KINDS, "net": Full()}
ESTATE = provision.Estate(environments=("prod",), region="nowhere-1", resources=(A, B, APP))


@pytest.fixture
def world() -> World:
    world = World()
    provision.apply(provision.plan(ESTATE, world, FULL), world, FULL)
    return world


def doomed(world: World, *keep: str) -> Plan:
    return provision.plan_destroy(ESTATE, world, FULL, confirm="prod", keep=keep)


def test_refused_by_name_with_what_to_do(world: World) -> None:
    with pytest.raises(InvalidInput, match=r"prod:net/b: net b is not empty\. To destroy the rest: keep=net/b"):
        doomed(world)
    assert len(world.things) == 3


@pytest.mark.parametrize("word", ["net/b", "prod:net/b", "net-2"])
def test_kept_by_name_and_the_rest_goes(world: World, word: str) -> None:
    assert provision.apply(doomed(world, word), world, FULL).failed == ()
    assert [thing.tags["saltlick:address"] for thing in world.things.values()] == ["net/b"]


@pytest.mark.parametrize("word", ["net/c", "box/app", "b"])
def test_what_is_not_there_or_holds_no_data_cannot_be_kept(world: World, word: str) -> None:
    with pytest.raises(InvalidInput, match=f"keep={word}: names no bucket of these environments"):
        doomed(world, "net/b", word)
