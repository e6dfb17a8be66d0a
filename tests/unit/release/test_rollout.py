"""Releases of a simulated fleet that watches the rules itself: each way in which one can go, well or ill."""

from __future__ import annotations

import pytest
from world import OLD, World, asked, names, recipe, sha

from saltlick.release.ports import Traffic
from saltlick.release.record import Phase, Result, Standing
from saltlick.release.rollout import release

KINDS = ("prepared", "in_place")


def go(world, path, rev="new", news=None, *, force=(), zones=("",), **changes):
    """One release, checked by the rules that hold for all."""
    strategy = {"kind": world.kind, **changes.pop("strategy", {})}
    record = release(
        recipe(strategy=strategy, **changes), asked(world, rev, force=frozenset(force), zones=zones), world.on(path, news)
    )
    world.consistent(record)
    return record


def standings(record):
    return {server.name: server.standing for server in record.servers}


@pytest.fixture(params=KINDS)
def world(request):
    return World(names(4), kind=request.param)


def test_every_server_ends_on_the_revision(world, tmp_path):
    record = go(world, tmp_path)
    assert record.result is Result.DONE
    assert {machine.current for machine in world.machines.values()} == {sha("new")}
    assert [task for task, _ in world.once] == ["migrate", "after"]
    assert world.least == 1
    assert all(step.ended and step.ok for step in record.steps)


@pytest.mark.parametrize("rev", ["bad-build", "bad-start", "sick", "late"])
def test_a_bad_revision_is_undone_everywhere(world, tmp_path, rev):
    record = go(world, tmp_path, rev)
    assert record.result is Result.ROLLED_BACK
    assert {machine.running for machine in world.machines.values()} == {OLD}
    assert "prod-app-1" in record.reason


def test_a_bad_build_touches_nobody(tmp_path):
    world = World(names(3))
    record = go(world, tmp_path, "bad-build")
    assert world.least == 3
    assert set(standings(record).values()) == {Standing.WAITING}
    assert "exit code 2: no such package" in record.reason
    assert not world.once


def test_a_revision_that_takes_the_minion_down_costs_that_server_alone(world, tmp_path):
    record = go(world, tmp_path, "deadly")
    assert record.result is Result.ROLLED_BACK
    assert standings(record)["prod-app-1"] is Standing.LEFT_OUT
    assert {machine.running for machine in list(world.machines.values())[1:]} == {OLD}
