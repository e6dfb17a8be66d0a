"""SIGKILL wherever a release may be: before and after each commit to its journal, and half way through each call.

Then another process takes it up (resume) or back (rollback), and all is as it should be.
"""

from __future__ import annotations

import pytest
from support.present import present
from support.release_world import OLD, Bomb, Dying, Killed, World, asked, dies, names, recipe, sha

from saltlick.errors import InvalidInput
from saltlick.jobs.store import Store
from saltlick.release.journal.record import Phase, Result
from saltlick.release.resume import resume, rollback
from saltlick.release.rollout import release

CASES = {
    "prepared, good": ("prepared", "new", 1),
    "prepared, bad": ("prepared", "sick", 2),
    "in place, good": ("in_place", "new", 4),
    "in place, bad": ("in_place", "bad-start", 4),
}
"""Strategy, revision, and of how many moments one is tried: the journal's steps are those of `prepared`."""


def killed(world, journal, rev, at, **changes):
    """A release that is killed at a tick; False when it was over before. The next process opens the same file."""
    world.tick = journal.tick = Bomb(at)
    try:
        release(
            recipe(**{"strategy": {"kind": world.kind}, **changes}), asked(world, rev), world.on(None, journal=journal)
        )
    except Killed:
        return True
    finally:
        world.tick = journal.tick = lambda: None
    return False


def taken_up(world, journal, since, *, back):
    """The release after somebody took it up; None when it died before its first row."""
    there = journal.latest("prod")
    if there is None or there.started < since:
        return None
    if there.result is not Result.RUNNING:
        return there
    if back:
        again = asked(world, "", rollback=True)
        return rollback(recipe(strategy={"kind": world.kind}), again, world.on(None, journal=journal))
    return resume(there.id, world.on(None, journal=journal), who="bob")


@pytest.mark.parametrize("case", CASES)
def test_killed_anywhere_and_taken_up_or_back(case, tmp_path):
    kind, rev, stride = CASES[case]
    world: World
    journal = Dying(Store(tmp_path / "releases.sqlite", durable=False), epoch=lambda: world.clock.epoch())
    seen = set()
    for at in range(1, 1000, stride):
        world = World(names(3), kind=kind)
        world.clock.sleep(at * 10_000)
        since = world.clock.epoch()
        back = at // stride // 2 % 2 == 1
        if not killed(world, journal, rev, at):
            break
        record = taken_up(world, journal, since, back=back)
        if record is None:
            assert {machine.running for machine in world.machines.values()} == {OLD}
            continue
        seen.add((record.steps[-1].phase, back))
        world.consistent(record)
        good = rev == "new" and (not back or record.result is Result.DONE)
        assert record.result is (Result.DONE if good else Result.ROLLED_BACK), record.reason
        assert {machine.running for machine in world.machines.values()} == {sha("new") if good else OLD}
    assert 60 < at < 999
    assert len(seen) >= 2


def test_killed_while_it_goes_on_without_a_dead_server(tmp_path):
    """With all that a recipe may have: budget, soak, waits, hooks. A hook of the whole release that went well is not repeated."""
    world: World
    journal = Dying(Store(tmp_path / "releases.sqlite", durable=False), epoch=lambda: world.clock.epoch())
    strategy = {"max_failures": 1, "soak_s": 20, "wait_s": 5, "batch": [1, 2]}
    hooks = {"pre_release": ["mail.send pre"], "post_batch": ["mail.send batch"], "post_release": ["mail.send post"]}
    results = set()
    for at in range(1, 1000, 9):
        world = World(names(5))
        world.clock.sleep(at * 10_000)
        since, back = world.clock.epoch(), at % 2 == 0
        world.fault = dies(world, "prod-app-3", "app.start")
        if not killed(world, journal, "new", at, strategy=strategy, hooks=hooks):
            break
        if (record := taken_up(world, journal, since, back=back)) is None:
            continue
        world.consistent(record)
        results.add(record.result)
        serving = {m.running for m in world.machines.values() if m.alive}
        assert serving == {OLD if record.result is Result.ROLLED_BACK else sha("new")}, record.reason
        pre = [step for step in record.steps if step.name.startswith("pre_release") and step.ok]
        assert len(pre) == 1 or back
    assert at > 100
    assert results == {Result.PARTIAL, Result.ROLLED_BACK}


def test_who_was_done_and_is_not_well_any_more_walks_again(tmp_path):
    """The balancer alone does not say it: its own check may be another, or none."""
    journal = Dying(Store(tmp_path / "releases.sqlite", durable=False))
    world = World(names(3))
    world.when = {"app.stop": lambda: world.when.update({"app.stop": die})}  # the second batch's

    def die():
        raise Killed

    with pytest.raises(Killed):
        release(recipe(), asked(world), world.on(None, journal=journal))
    there = present(journal.latest("prod"))
    ill = ["prod-app-1"]
    world.fault = lambda server, called, call: ill.pop() if called == "health.http" and server in ill else ""
    record = resume(there.id, world.on(None, journal=journal), who="bob")
    world.consistent(record)
    assert record.result is Result.DONE
    drained = [step.server for step in record.steps if step.phase is Phase.DRAIN]
    assert drained.count("prod-app-1") == 2


def test_what_is_over_is_not_taken_up(tmp_path):
    world = World(names(2))
    on = world.on(tmp_path)
    record = release(recipe(), asked(world), on)
    with pytest.raises(InvalidInput, match="it is over: done"):
        resume(record.id, on, who="bob")
