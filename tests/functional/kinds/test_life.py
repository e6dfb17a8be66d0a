"""Every kind: make, look, change, look, destroy, look."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from saltlick.errors import AwsUnclear
from saltlick.kinds import KINDS

from .conftest import CutOff
from .estate import BY_ADDRESS, CHANGES, CUT_OFF, UNTAGGED
from .world import World, having

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.aws import AwsCloud

CASES = [(address, change) for address, changed in CHANGES.items() for change in changed]


@pytest.mark.parametrize("address", CHANGES)
def test_what_was_made_is_seen_as_it_was_wanted(world: World, address: str) -> None:
    resource = BY_ADDRESS[address]
    attributes = world.make(resource)
    observed = world.require(resource)
    assert world.differences(resource) == ()
    assert not observed.pending
    assert KINDS[resource.kind].attributes - {"public_ip"} <= set(attributes)
    assert attributes.items() >= {n: v for n, v in observed.attributes.items() if n != "association"}.items()
    assert (observed.tags is None) == (resource.kind in UNTAGGED)


@pytest.mark.parametrize(("address", "change"), CASES, ids=[f"{a}-{next(iter(c))}" for a, c in CASES])
def test_what_is_changed_in_place_is_seen_changed(world: World, address: str, change: Mapping[str, Any]) -> None:
    resource = BY_ADDRESS[address]
    world.make(resource)
    changed = having(resource, **change)
    world.update(changed)
    assert world.differences(changed) == ()


@pytest.mark.parametrize("address", [a for a in CHANGES if a.partition("/")[0] not in UNTAGGED])
def test_tags_are_changed_in_place_and_those_of_others_stay(world: World, address: str) -> None:
    resource = dataclasses.replace(BY_ADDRESS[address], tags={"team": "blue"})
    world.make(resource)
    changed = dataclasses.replace(resource, title="renamed", tags={"cost": "42"})
    world.update(changed)
    tags = world.require(changed).tags
    assert tags is not None
    assert tags.items() >= {"Name": "renamed", "cost": "42", "team": "blue"}.items()
    assert world.differences(changed) == ()


@pytest.mark.parametrize("address", CHANGES)
def test_what_was_destroyed_is_not_seen_and_may_be_destroyed_again(world: World, address: str) -> None:
    resource = BY_ADDRESS[address]
    world.make(resource)
    observed = world.require(resource)
    kind = KINDS[resource.kind]
    kind.destroy(world.cloud, observed, 30)
    kind.destroy(world.cloud, observed, 30)
    assert resource.key not in {o.key for o in world.see_all(resource.kind, wanted={})}


@pytest.mark.parametrize(("address", "operation"), CUT_OFF.items())
def test_what_was_cut_off_in_the_middle_is_shown_and_finished(
    world: World, cloud: AwsCloud, address: str, operation: str
) -> None:
    resource = BY_ADDRESS[address]
    with pytest.raises(AwsUnclear):
        world.make(resource, cloud=CutOff(cloud, operation))
    assert world.differences(resource) != ()
    world.update(resource)
    assert world.differences(resource) == ()


@pytest.mark.parametrize("address", [*CHANGES, "image/app"])
def test_another_environment_does_not_see_it(world: World, address: str) -> None:
    world.make(BY_ADDRESS[address])
    assert world.see_all(address.partition("/")[0], "staging", wanted={}) == []
