"""Orders from other terminals and from signals, while a release is under way."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import pytest
from support.present import present
from support.release_world import OLD, Killed, World, asked, names, recipe, sha

from saltlick.errors import InvalidInput
from saltlick.jobs.store import Store
from saltlick.release.context import ReleaseEvent
from saltlick.release.journal.control_request import ControlAction, ControlRequest
from saltlick.release.journal.controls import record_control
from saltlick.release.journal.record import Phase, Result, ServerStatus
from saltlick.release.journal.store import Journal
from saltlick.release.resume import resume
from saltlick.release.rollout import release


@pytest.fixture
def world():
    return World(names(4))


def order(path, world, want, server=""):
    """As another process gives it."""

    def gives():
        journal = Journal(Store(path / "releases.sqlite", durable=False), epoch=world.clock.epoch)
        record_control(journal, "prod", ControlRequest(want=want, who="bob", server=server))
        journal.close()

    return gives


def go(world, path, news=None, **strategy):
    on = world.on(path, news)
    record = release(recipe(strategy=strategy), asked(world), on)
    world.consistent(record)
    return record


def waits(record):
    return {step.name: step for step in record.steps if step.phase is Phase.WAIT}


@pytest.mark.parametrize(
    "function", ["build.make", "db.migrate", "drain", "app.stop", "app.start", "restore", "db.after"]
)
def test_an_abort_at_any_time_takes_everything_back(world, tmp_path, function):
    world.when = {function: order(tmp_path, world, ControlAction.ABORT)}
    record = go(world, tmp_path)
    assert {machine.running for machine in world.machines.values()} == {OLD}
    assert (record.result, record.reason.split(".")[0]) == (Result.ROLLED_BACK, "abort by bob")


def test_an_abort_ends_a_build_and_no_once_task(tmp_path):
    for function, killed in (("build.make", 3), ("db.migrate", 0)):
        world = World(names(3))
        on = world.on(tmp_path / function)
        world.when = {function: partial(on.interrupts.hit, "Ctrl-C")}
        record = release(recipe(), asked(world), on)
        world.consistent(record)
        assert (record.result, world.least) == (Result.ROLLED_BACK, 3)
        assert record.reason.startswith("Ctrl-C by alice")
        jobs = [job for machine in world.machines.values() for job in machine.killed]
        assert jobs == [f"{record.id}/1-build"] * killed


def test_the_first_ctrl_c_is_an_abort(world, tmp_path):
    on = world.on(tmp_path)
    world.when = {"app.start": lambda: on.interrupts.hit("Ctrl-C")}
    record = release(recipe(), asked(world), on)
    world.consistent(record)
    assert record.result is Result.ROLLED_BACK
    assert "Ctrl-C by alice" in record.reason
    assert {machine.running for machine in world.machines.values()} == {OLD}


def test_the_second_ctrl_c_stops_at_once_and_says_what_is_left(world, tmp_path):
    on = world.on(tmp_path)
    world.when = {
        "app.start": lambda: on.interrupts.hit("Ctrl-C"),
        "revision.activate": lambda: world.when.update({"drain": lambda: on.interrupts.hit("Ctrl-C")}),
    }
    record = release(recipe(), asked(world), on)
    assert record.result is Result.RUNNING
    assert record.result.exit_code == 6
    assert "stopped at once (Ctrl-C, then Ctrl-C); left: prod-app-1: touched" in record.reason
    again = resume(record.id, world.on(tmp_path), who="bob")
    world.consistent(again)
    assert again.result is Result.ROLLED_BACK
    assert "stopped at once" not in again.reason


def test_a_pause_waits_for_promote(world, tmp_path):
    world.when = {"app.start": order(tmp_path, world, ControlAction.PAUSE)}

    def promote(now_s):
        if now_s > 1000 and "promoted" not in world.when:
            world.when["promoted"] = lambda: None
            order(tmp_path, world, ControlAction.PROMOTE)()

    world.clock.meanwhile.append(promote)
    record = go(world, tmp_path)
    assert record.result is Result.DONE
    assert waits(record)["until promoted"].detail == "promoted"
    assert world.clock.time_s > 1000


def killed_in_its_pause(world, path, **strategy):
    """A release whose process dies while it waits; a second one opens the same journal."""
    on = world.on(path)

    def tell(event):
        if event.step and event.step.name == "until promoted":
            raise Killed

    with pytest.raises(Killed):
        release(recipe(strategy=strategy), asked(world), type(on)(**{**fields(on), "notify": tell}))
    return Journal(Store(path / "releases.sqlite", durable=False), epoch=world.clock.epoch).unfinished("prod")


def test_a_promote_while_nobody_is_there_counts_when_it_is_taken_up(world, tmp_path):
    killed = killed_in_its_pause(world, tmp_path, pause="canary", pause_limit_s=600)
    order(tmp_path, world, ControlAction.PROMOTE)()
    record = resume(killed.id, world.on(tmp_path), who="bob")
    world.consistent(record)
    assert record.result is Result.DONE
    assert waits(record)["until promoted"].detail == "promoted"


def test_a_promote_ends_one_pause_and_not_the_next(world, tmp_path):
    killed = killed_in_its_pause(world, tmp_path, pause="every", pause_limit_s=600, batch=1)
    order(tmp_path, world, ControlAction.PROMOTE)()
    record = resume(killed.id, world.on(tmp_path), who="bob")
    assert record.result is Result.ROLLED_BACK
    assert "nobody promoted it within 600 s" in record.reason
    assert {server.batch for server in record.servers if server.standing is ServerStatus.UNDONE} == {1, 2}


def test_there_is_nothing_to_promote_while_a_batch_is_on_its_way(world, tmp_path):
    refused = []

    def too_early():
        with pytest.raises(InvalidInput, match="does not wait now, so there is nothing to promote") as info:
            order(tmp_path, world, ControlAction.PROMOTE)()
        refused.append(info)

    world.when = {"app.start": too_early}
    record = go(world, tmp_path, pause="canary", pause_limit_s=600)
    assert refused
    assert "nobody promoted it" in record.reason


def test_a_promote_before_the_pause_begins_takes_it_back(world, tmp_path):
    world.when = {
        "app.stop": order(tmp_path, world, ControlAction.PAUSE),
        "app.start": order(tmp_path, world, ControlAction.PROMOTE),
    }
    news: list[ReleaseEvent] = []
    record = go(world, tmp_path, news)
    assert record.result is Result.DONE
    assert "until promoted" not in waits(record)
    assert "the pause that was asked for is taken back" in [event.text for event in news]


def test_a_pause_outlives_the_process_that_heard_it(world, tmp_path):
    """Heard and told, then SIGKILL before the batch is over: who takes it up waits there."""

    def dies():
        raise Killed

    world.when = {"app.stop": order(tmp_path, world, ControlAction.PAUSE), "restore": dies}
    with pytest.raises(Killed):
        release(recipe(), asked(world), world.on(tmp_path))
    again = Journal(Store(tmp_path / "releases.sqlite", durable=False), epoch=world.clock.epoch)
    record = resume(present(again.unfinished("prod")).id, world.on(tmp_path), who="bob")
    assert waits(record)["until promoted"].batch == 1


def test_nobody_promotes(world, tmp_path):
    record = go(world, tmp_path, pause="canary", pause_limit_s=600)
    assert record.result is Result.ROLLED_BACK
    assert "nobody promoted it within 600 s" in record.reason
    assert {machine.running for machine in world.machines.values()} == {OLD}


def test_a_promote_in_the_last_moment_counts(world, tmp_path):
    given: list[float] = []

    def promote(now_s):
        if given:
            return
        path = tmp_path / "releases.sqlite"
        with closing(Journal(Store(path, durable=False), epoch=world.clock.epoch)) as journal:
            there = journal.unfinished("prod")
            pause = [step for step in there.steps if step.name == "until promoted"] if there else []
        if pause and world.clock.epoch() - pause[0].started >= 600:
            order(tmp_path, world, ControlAction.PROMOTE)()
            given.append(now_s)

    world.clock.meanwhile.append(promote)
    record = go(world, tmp_path, pause="canary", pause_limit_s=600)
    assert given
    assert record.result is Result.DONE


def test_an_abort_ends_a_pause(world, tmp_path):
    world.when = {"restore": order(tmp_path, world, ControlAction.PAUSE)}
    news: list[ReleaseEvent] = []
    on = world.on(tmp_path, news)

    def tell(event):
        if event.step and event.step.phase is Phase.WAIT and event.step.ended is None:
            order(tmp_path, world, ControlAction.ABORT)()

    record = release(recipe(), asked(world), type(on)(**{**fields(on), "notify": tell}))
    world.consistent(record)
    assert record.result is Result.ROLLED_BACK
    assert world.clock.time_s < 600


def fields(on):
    return {name: getattr(on, name) for name in type(on).__dataclass_fields__}


def test_a_skipped_server_stays_as_it_is(world, tmp_path):
    world.when = {"app.start": order(tmp_path, world, ControlAction.SKIP, "prod-app-3")}
    record = go(world, tmp_path)
    assert record.result is Result.PARTIAL
    assert record.result.exit_code == 8
    assert "prod-app-3: skip prod-app-3 by bob" in record.reason
    assert [m.running for m in world.machines.values()] == [sha("new"), sha("new"), OLD, sha("new")]


def test_the_last_server_may_be_skipped_while_it_waits(tmp_path):
    world = World(names(2))
    world.when = {"app.start": order(tmp_path, world, ControlAction.SKIP, "prod-app-2")}
    assert go(world, tmp_path, wait_s=5).result is Result.PARTIAL


def test_soak_looks_at_the_canary_again(world, tmp_path):

    def leak(now_s):
        if now_s > 100:
            world.revisions[sha("new")] = "sick"  # a leak that shows after a while

    world.clock.meanwhile.append(leak)
    record = go(world, tmp_path, canary_soak_s=300)
    assert record.result is Result.ROLLED_BACK
    assert "prod-app-1" in record.reason
    assert not any(step.server == "prod-app-2" and step.phase is Phase.DRAIN for step in record.steps)


def test_waits_between_batches(world, tmp_path):
    record = go(world, tmp_path, batch=1, wait_s=50)
    assert [step.name for step in record.steps if step.phase is Phase.WAIT] == ["soak", "between batches"] * 3 + [
        "soak"
    ]


def test_orders_for_nobody_are_refused(world, tmp_path):
    with pytest.raises(InvalidInput, match="no release is under way in prod"):
        order(tmp_path, world, ControlAction.PAUSE)()
    seen = []

    def skip_a_done_one():
        with pytest.raises(InvalidInput, match="'prod-app-1' is not waiting") as info:
            order(tmp_path, world, ControlAction.SKIP, "prod-app-1")()
        seen.append(info)

    world.when = {"db.after": skip_a_done_one}
    assert go(world, tmp_path).result is Result.DONE
    assert seen


def test_standing_of_all_is_known_after_an_abort(world, tmp_path):
    world.when = {"app.start": order(tmp_path, world, ControlAction.ABORT)}
    record = go(world, tmp_path)
    assert [server.standing for server in record.servers] == [ServerStatus.UNDONE, *[ServerStatus.WAITING] * 3]
