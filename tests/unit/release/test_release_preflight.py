"""What refuses a release before anything is touched, all of it at once, and the word that overrides each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.release_world import OLD, World, asked, names, recipe, sha

from saltlick.errors import InvalidInput
from saltlick.fleet.ports import Traffic
from saltlick.release import resume, rollout
from saltlick.release.journal.record import Result, ServerStatus

TOUCHING = {"app.stop", "revision.prepare", "revision.activate", "drain"}


@pytest.fixture
def world():
    return World(names(4))


def refused(world, path, rev="new", force=(), **changes):
    record = rollout.release(recipe(**changes), asked(world, rev, force=frozenset(force)), world.on(path))
    assert record.result is Result.REFUSED
    assert not {call.function for _, call in world.calls} & TOUCHING
    assert record.result.exit_code == 7
    return record.reason


def silence(world):
    world.machines["prod-app-2"].alive = False
    world.machines["prod-app-2"].traffic = Traffic.UNHEALTHY


def sickness(world):
    world.machines["prod-app-3"].running = sha("sick")


def no_traffic(world):
    world.machines["prod-app-4"].traffic = Traffic.OUT


def full_disk(world):
    world.fault = lambda server, called, call: "statvfs failed" if called == "revision.free" else ""


CASES = {
    "silent": (silence, "prod-app-2: does not answer"),
    "unhealthy": (sickness, "prod-app-3: is not healthy now"),
    "not in traffic": (no_traffic, "prod-app-4: the balancer shows it out"),
    "disk": (full_disk, "prod-app-1: cannot tell its free space"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_refuses(world, tmp_path, case):
    breaks, said = CASES[case]
    breaks(world)
    assert said in refused(world, tmp_path)


def test_all_at_once(world, tmp_path):
    for breaks, _ in CASES.values():
        breaks(world)
    windows = {"deny": ["Mon-Sun"]}
    said = refused(world, tmp_path, "typo", windows=windows)
    assert all(text in said for _, text in CASES.values())
    assert "'typo' cannot be resolved: there is no branch" in said
    assert "(force=window)" in said


def test_too_little_room(world, tmp_path):
    said = refused(world, tmp_path, source={"min_free_mb": 9000})
    assert "5000 MB free in /srv/app, wanted are 9000 (force=disk)" in said


def test_a_floor_that_lets_nobody_out(world, tmp_path):
    said = refused(world, tmp_path, strategy={"floor": "100%"})
    assert "4 of 4 servers have to stay in traffic" in said


def test_force_words(world, tmp_path):
    with pytest.raises(InvalidInput, match="force=everything: there is True, unhealthy"):
        refused(world, tmp_path, force={"everything"})
    sickness(world)
    no_traffic(world)
    allowed = asked(world, force=frozenset({"unhealthy", "window"}))
    record = rollout.release(recipe(windows={"deny": ["Mon-Sun"]}), allowed, world.on(tmp_path))
    assert record.result is Result.DONE
    assert {m.running for m in world.machines.values()} == {sha("new")}
    assert {m.traffic for m in world.machines.values()} == {Traffic.IN}


def test_a_denied_day_keeps_news_out_and_lets_everybody_go_back(world, tmp_path):
    shut = recipe(windows={"deny": ["Mon-Sun"]})
    assert rollout.release(recipe(), asked(world, "new"), world.on(tmp_path)).result is Result.DONE
    assert rollout.release(shut, asked(world, "newer"), world.on(tmp_path)).result is Result.REFUSED
    assert resume.rollback(shut, asked(world, ""), world.on(tmp_path)).result is Result.DONE
    assert {m.running for m in world.machines.values()} == {OLD}


def test_what_the_balancer_cannot_say_is_not_overridden(world, tmp_path):
    """Who cannot be seen cannot be taken out either: a release would be stuck."""
    world.machines["prod-app-4"].traffic = Traffic.UNKNOWN
    said = refused(world, tmp_path, force={"unhealthy"})
    assert said == "prod-app-4: the balancer shows it unknown"


def test_a_silent_server_may_be_left_out_from_the_start(world, tmp_path):
    silence(world)
    record = rollout.release(recipe(), asked(world, force=frozenset({"silent", "unhealthy"})), world.on(tmp_path))
    world.consistent(record)
    assert record.result is Result.PARTIAL
    assert [s.standing for s in record.servers].count(ServerStatus.LEFT_OUT) == 1


def test_a_silent_server_left_out_is_taken_out_of_traffic(world, tmp_path):
    world.fault = lambda server, called, call: "silent" if server == "prod-app-2" and called != "drain" else ""
    record = rollout.release(recipe(), asked(world, force=frozenset({"silent"})), world.on(tmp_path))
    assert record.result is Result.PARTIAL
    assert world.machines["prod-app-2"].traffic is Traffic.OUT


def test_a_silent_server_that_cannot_be_taken_out_ends_it_with_nothing_touched(world, tmp_path):
    silence(world)
    world.machines["prod-app-2"].traffic = Traffic.UNKNOWN
    world.fault = lambda server, called, call: "no answer" if (server, called) == ("prod-app-2", "drain") else ""
    record = rollout.release(recipe(), asked(world, force=frozenset({"silent"})), world.on(tmp_path))
    assert record.result is Result.ROLLED_BACK
    assert {server.standing for server in record.servers} == {ServerStatus.WAITING}
    assert record.reason == "prod-app-2: silent, and could not be taken out of traffic"
    assert world.least >= 3


def test_an_unfinished_release_has_to_be_taken_up_first(world, tmp_path):
    on = world.on(tmp_path)
    on.journal.open(
        replace(rollout.plan(recipe(), asked(world), on).as_record(asked(world)), id="dead", started=1.0),
        recipe="{}",
    )
    assert "dead is not finished: `salt-run release.resume prod` goes on with it" in refused(world, tmp_path)
    over = asked(world, force=frozenset({"unfinished"}))
    world.clock.sleep(60)
    record = rollout.release(recipe(), over, world.on(tmp_path))
    assert record.result is Result.DONE
    assert on.journal.read("dead").result is Result.STUCK
    assert record.id in on.journal.read("dead").reason


def test_the_plan_says_what_a_release_would_do_and_changes_nothing(world, tmp_path):
    on = world.on(tmp_path)
    plan = rollout.plan(recipe(), asked(world), on)
    assert [(b.number, [s.name for s in b.servers], b.in_traffic) for b in plan.batches] == [
        (1, ["prod-app-1"], 3),
        (2, ["prod-app-2", "prod-app-3", "prod-app-4"], 1),
    ]
    assert {(s.current, s.new) for b in plan.batches for s in b.servers} == {(OLD, sha("new"))}
    assert not plan.refused
    assert not on.journal.history("prod")
    assert not {call.function for _, call in world.calls} & TOUCHING


def test_revisions_are_resolved_once_and_by_another_server_where_one_is_silent(world, tmp_path):
    rollout.release(recipe(), asked(world), world.on(tmp_path))
    assert [call.function for _, call in world.calls].count("revision.resolve") == 1
