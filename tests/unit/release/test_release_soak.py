"""A revision that passes its checks and then dies is found while few servers have it, and what is claimed was seen."""

from __future__ import annotations

import re

import pytest
from support.release_world import CRASHING, OLD, World, asked, names, recipe, sha

from saltlick.fleet.ports import Traffic
from saltlick.release.journal.record import Phase, Result, ServerStatus
from saltlick.release.report import lines
from saltlick.release.resume import resume
from saltlick.release.rollout import release

KINDS = ("prepared", "in_place")


def go(world, path, rev, **strategy):
    record = release(recipe(strategy={"kind": world.kind, **strategy}), asked(world, rev), world.on(path))
    world.consistent(record)
    return record


def drained(record):
    return {step.server for step in record.steps if step.phase is Phase.DRAIN and not step.undo}


def all_run(world, rev):
    return {machine.running for machine in world.machines.values()} == {rev}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("rev", CRASHING)
def test_what_crashes_within_the_soak_gets_to_one_server_and_goes_back(tmp_path, rev, count, kind):
    world = World(names(count), kind=kind)
    record = go(world, tmp_path, rev, soak_s=CRASHING[rev] + 5)
    assert record.result is Result.ROLLED_BACK, record.reason
    assert drained(record) == {"prod-app-1"}
    assert all_run(world, OLD)
    assert "prod-app-1: back in traffic, and then the balancer showed it unhealthy" in record.reason


@pytest.mark.parametrize("rev", ["crash-2", "crash-10"])
def test_it_is_watched_without_being_asked_for(tmp_path, rev):
    world = World(names(4))
    record = go(world, tmp_path, rev)
    assert record.result is Result.ROLLED_BACK
    assert drained(record) == {"prod-app-1"}


def test_the_last_batch_is_watched_too(tmp_path):
    world = World(names(3), crashes_on=frozenset({"prod-app-3"}))
    record = go(world, tmp_path, "crash-10", batch=1)
    assert record.result is Result.ROLLED_BACK
    assert drained(record) == set(names(3))
    assert all_run(world, OLD)


def test_servers_of_earlier_batches_are_watched_with_the_later_ones(tmp_path):
    """It crashes later than the first soak is long, while the second batch is watched."""
    world = World(names(3), crashes_on=frozenset({"prod-app-1"}))
    record = go(world, tmp_path, "crash-40", batch=1, soak_s=15)
    assert record.result is Result.ROLLED_BACK
    assert record.reason.startswith("prod-app-1: back in traffic, and then")
    assert all_run(world, OLD)


def test_the_others_are_asked_again_before_the_next_drain(tmp_path):
    """The balancer has not noticed, or has no check: the server itself is asked after the wait."""
    world = World(names(3))

    def leak(now_s):
        if now_s > 40:
            world.revisions[sha("new")] = "sick"

    world.clock.meanwhile.append(leak)
    record = go(world, tmp_path, "new", wait_s=60, soak_s=5)
    assert record.result is Result.ROLLED_BACK
    assert drained(record) == {"prod-app-1"}
    assert "prod-app-1: back in traffic, and then ill" in record.reason


def test_within_the_budget_one_that_crashes_is_left_out(tmp_path):
    world = World(names(4), crashes_on=frozenset({"prod-app-1"}))
    record = go(world, tmp_path, "crash-10", max_failures=1)
    assert record.result is Result.PARTIAL
    assert {s.name for s in record.servers if s.standing is ServerStatus.LEFT_OUT} == {"prod-app-1"}
    assert world.machines["prod-app-1"].traffic is Traffic.OUT or world.crashed(world.machines["prod-app-1"])


def test_a_balancer_that_shows_nothing_is_no_failure(tmp_path):
    """A look that AWS refuses says nothing of a server."""
    world = World(names(3))
    look, looks = world.look, []

    def sometimes(servers):
        looks.append(servers)
        seen = look(servers)
        return {n: type(s)(Traffic.UNKNOWN, "throttled") for n, s in seen.items()} if len(looks) % 4 == 0 else seen

    world.look = sometimes  # type: ignore[method-assign]
    assert go(world, tmp_path, "new").result is Result.DONE


def test_zero_turns_it_off(tmp_path):
    world = World(names(2))
    record = go(world, tmp_path, "new", soak_s=0)
    assert record.result is Result.DONE
    assert not [step for step in record.steps if step.phase is Phase.WAIT]


def test_killed_in_the_soak_of_the_last_batch_it_is_watched_after_all(tmp_path):
    world = World(names(2), crashes_on=frozenset({"prod-app-2"}))
    on = world.on(tmp_path)

    class Gone(BaseException):
        pass

    def kill(now_s):
        if all(m.running == sha("crash-40") and m.traffic is Traffic.IN for m in world.machines.values()):
            world.clock.meanwhile.clear()
            raise Gone

    world.clock.meanwhile.append(kill)
    with pytest.raises(Gone):
        release(recipe(strategy={"soak_s": 50}), asked(world, "crash-40"), on)
    record = on.journal.latest("prod")
    assert record is not None
    assert record.result is Result.RUNNING
    again = resume(record.id, world.on(None, journal=on.journal), who="bob")
    assert again.result is Result.ROLLED_BACK
    assert all_run(world, OLD)


@pytest.mark.parametrize("count", [2, 4])
def test_what_is_claimed_was_seen_by_the_balancer(tmp_path, count):
    world = World(names(count))
    record = go(world, tmp_path, "new")
    assert record.looks.fewest == world.least == 1
    assert record.looks.count > 20
    told = "\n".join(lines.closing(record))
    assert f"never fewer than 1 of {count} in traffic, in {record.looks.count} looks at the balancer" in told


def test_a_crash_is_in_what_is_claimed(tmp_path):
    """The plan is that one of two always serves. One crashes while the other is out of traffic."""
    world = World(names(2))
    record = go(world, tmp_path, "crash-40", soak_s=15)
    assert record.looks.fewest == world.least


def test_without_a_balancer_nothing_is_claimed(tmp_path):
    world = World(names(2))
    none = recipe(balancer={}).model_validate({**recipe().model_dump(mode="json"), "balancer": {"kind": "none"}})
    record = release(none, asked(world, "new"), world.on(tmp_path))
    assert record.result is Result.DONE
    assert "never fewer" not in "\n".join(lines.closing(record))


LOG = {"log": "/var/log/nginx/access.log"}


def with_log(world, path, rev, **strategy):
    made = recipe(strategy={"kind": world.kind, **strategy}, traffic=LOG)
    record = release(made, asked(world, rev), world.on(path))
    world.consistent(record)
    return record


def test_what_answers_its_checks_and_refuses_its_visitors_goes_back_after_one_server(tmp_path):
    world = World(names(4), errors={"new": 40})
    record = with_log(world, tmp_path, "new")
    assert record.result is Result.ROLLED_BACK
    assert drained(record) == {"prod-app-1"}
    assert all_run(world, OLD)
    assert re.search(
        r"prod-app-1: back in traffic, and then \d+ of \d+ requests were answered with an error", record.reason
    )
    assert record.reason.endswith("(5xx), 40 %, 0 % before the release")


@pytest.mark.parametrize(
    ("old", "new", "most", "result"),
    [
        (0, 5, 5, Result.DONE),
        (0, 6, 5, Result.ROLLED_BACK),
        (0, 1, 0, Result.ROLLED_BACK),
        (30, 33, 5, Result.DONE),
        (30, 40, 5, Result.ROLLED_BACK),
        (0, 99, 100, Result.DONE),
    ],
)
def test_it_is_the_share_on_top_of_what_it_was_that_counts(tmp_path, old, new, most, result):
    world = World(names(2), errors={"old": old, "new": new})
    assert with_log(world, tmp_path, "new", max_errors=most).result is result


def test_few_requests_decide_nothing_and_without_a_log_nobody_is_asked(tmp_path):
    world = World(names(2), errors={"new": 40})
    assert with_log(world, tmp_path / "few", "new", soak_s=1).result is Result.DONE
    world = World(names(2), errors={"new": 40})
    assert go(world, tmp_path / "none", "new").result is Result.DONE
    assert not [call for _, call in world.calls if call.function == "requests_seen.errors"]


def test_a_server_that_cannot_tell_is_not_ill_by_that(tmp_path):
    unreadable = "cannot be read: No such file or directory"
    world = World(names(2), errors={"new": 40})
    world.fault = lambda server, function, call: unreadable if function == "requests_seen.errors" else ""
    assert with_log(world, tmp_path, "new").result is Result.DONE
