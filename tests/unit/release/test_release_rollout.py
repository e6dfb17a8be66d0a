"""Releases of a simulated fleet that watches the rules itself: each way in which one can go, well or ill."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import pytest
from support.release_world import OLD, Dying, World, asked, dies, names, recipe, sha

from saltlick.errors import AwsUnclear
from saltlick.fleet.ports import Reply, Seen, Traffic
from saltlick.jobs.store import Store
from saltlick.release.context import ReleaseEvent
from saltlick.release.journal.record import Phase, Result, ServerStatus
from saltlick.release.resume import resume
from saltlick.release.rollout import release

KINDS = ("prepared", "in_place")


def go(world, path, rev="new", news=None, *, force=(), zones=("",), **changes):
    """One release, checked by the rules that hold for all."""
    strategy = {"kind": world.kind, **changes.pop("strategy", {})}
    record = release(
        recipe(strategy=strategy, **changes),
        asked(world, rev, force=frozenset(force), zones=zones),
        world.on(path, news),
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
    assert set(standings(record).values()) == {ServerStatus.WAITING}
    assert "exit code 2: no such package" in record.reason
    assert not world.once


def test_a_revision_that_takes_the_minion_down_costs_that_server_alone(world, tmp_path):
    record = go(world, tmp_path, "deadly")
    assert record.result is Result.ROLLED_BACK
    assert standings(record)["prod-app-1"] is ServerStatus.LEFT_OUT
    assert {machine.running for machine in list(world.machines.values())[1:]} == {OLD}


STEPS = ("drain", "app.stop", "revision.activate", "app.start", "health.http", "restore")


@pytest.mark.parametrize("function", STEPS)
def test_a_server_that_dies_in_a_step_is_left_out_and_the_rest_goes_back(tmp_path, function):
    world = World(names(4))
    world.fault = dies(world, "prod-app-3", function)
    record = go(world, tmp_path)
    assert record.result is Result.ROLLED_BACK
    assert standings(record)["prod-app-3"] is ServerStatus.LEFT_OUT
    assert "prod-app-3" in record.reason
    assert {m.running for m in world.machines.values() if m.alive} == {OLD}


@pytest.mark.parametrize("function", STEPS[1:-1])
def test_within_max_failures_it_goes_on_without_the_dead(tmp_path, function):
    world = World(names(4))
    world.fault = dies(world, "prod-app-3", function)
    record = go(world, tmp_path, strategy={"max_failures": 1})
    assert record.result is Result.PARTIAL
    assert standings(record)["prod-app-3"] is ServerStatus.LEFT_OUT
    assert {m.running for m in world.machines.values() if m.alive} == {sha("new")}


def test_the_budget_counts_all_batches(tmp_path):
    world = World(names(6))
    bad = {"prod-app-1", "prod-app-4"}
    world.fault = lambda server, called, call: (
        "boom" if server in bad and called == "app.start" and new(call, world, server) else ""
    )
    record = go(world, tmp_path, strategy={"max_failures": 1, "batch": 2})
    assert record.result is Result.ROLLED_BACK
    assert "that makes 2 servers, max_failures is 1" in record.reason
    assert {m.running for m in world.machines.values()} == {OLD}


def new(call, world, server):
    """Whether a server is on its way to a new revision."""
    return world.machines[server].current != OLD


def test_a_failed_build_within_the_budget_takes_the_server_out(tmp_path):
    world = World(names(3))
    world.fault = lambda server, called, call: "no disk" if (server, called) == ("prod-app-2", "build.make") else ""
    record = go(world, tmp_path, strategy={"max_failures": 1})
    assert record.result is Result.PARTIAL
    assert world.machines["prod-app-2"].traffic is Traffic.OUT
    assert "prod-app-2: make: no disk" in record.reason


def test_an_undo_that_fails_is_stuck_and_the_rest_goes_back_all_the_same(world, tmp_path):
    world.fault = lambda server, called, call: "boom" if called == "app.start" and server == "prod-app-1" else ""
    record = go(world, tmp_path)
    assert record.result is Result.STUCK
    assert standings(record)["prod-app-1"] is ServerStatus.TOUCHED
    assert "stuck: prod-app-1" in record.reason
    assert {m.running for m in list(world.machines.values())[1:]} == {OLD}


def test_stuck_and_mended_it_is_taken_up_and_goes_back(world, tmp_path):
    world.fault = lambda server, called, call: "boom" if called == "app.start" and server == "prod-app-1" else ""
    stuck = go(world, tmp_path)
    world.fault = lambda server, called, call: ""
    record = resume(stuck.id, world.on(tmp_path), who="bob")
    world.consistent(record)
    assert record.result is Result.ROLLED_BACK
    assert {m.running for m in world.machines.values()} == {OLD}
    assert record.reason.count("app.start") == 1


def test_two_servers_of_which_one_dies_late_never_leave_nobody_in_traffic(tmp_path):
    """The other one serves the new revision, and taking it out would be an outage: it stays, and that is said."""
    world = World(names(2))
    world.fault = lambda server, called, call: "die" if (server, called) == ("prod-app-2", "app.start") else ""
    record = go(world, tmp_path)
    assert record.result is Result.STUCK
    assert world.machines["prod-app-1"].traffic is Traffic.IN
    assert "1 of 2 servers have to stay in traffic" in record.reason


@pytest.mark.parametrize("late", ["still running", "silent"])
def test_a_late_stop_is_followed_by_kill(tmp_path, late):
    """Silence is how Salt shows a stop that hangs."""
    world = World(names(2))
    world.fault = lambda server, called, call: late if called == "app.stop" else ""
    assert go(world, tmp_path, kill=["app.kill"]).result is Result.DONE
    assert "app.kill" in {call.function for _, call in world.calls}


def test_only_the_first_check_waits_for_what_was_started(tmp_path):
    world = World(names(2))
    checks = [{"http": "http://127.0.0.1:9001/health"}, {"http": "http://127.0.0.1:9002/health"}]
    go(world, tmp_path, health={"checks": checks, "readiness_delay_s": 7})
    waits = [
        (server, call.kwargs["readiness_delay_s"]) for server, call in world.calls if call.function == "health.http"
    ]
    delayed = [place for place, (_, wait) in enumerate(waits) if wait]
    assert [waits[place] for place in delayed] == [("prod-app-1", 7), ("prod-app-2", 7)]
    assert [waits[place + 1] for place in delayed] == [("prod-app-1", 0), ("prod-app-2", 0)]


def test_a_reason_is_said_once(tmp_path):
    world = World(names(2))
    world.fault = lambda server, called, call: f"{called}: boom" if called in {"app.start", "mail.send"} else ""
    record = go(world, tmp_path, start=["app.start"], hooks={"pre_release": ["mail.send x"]})
    assert record.reason == "pre_release 1: mail.send x: boom"
    world = World(names(2))
    world.fault = dies(world, "prod-app-1", "app.stop")
    record = go(world, tmp_path)
    assert record.reason == "prod-app-1: app.stop: no answer in 60 s. out of traffic, and left there: prod-app-1"


def test_a_server_with_a_first_revision_has_nothing_to_go_back_to(tmp_path):
    world = World(names(2))
    world.machines["prod-app-1"].current = ""
    record = go(world, tmp_path, "sick")
    assert record.result is Result.ROLLED_BACK
    assert "; it had no revision before to go back to" in record.reason


def test_a_failed_once_step_undoes_everything_and_is_taken_back(world, tmp_path):
    world.fault = lambda server, called, call: "no such table" if called == "db.after" else ""
    record = go(world, tmp_path)
    assert record.result is Result.ROLLED_BACK
    assert [task for task, _ in world.once] == ["migrate", "back"]
    assert "done once and not undone: after (it has no `undo` in the recipe)" in record.reason


def test_the_primary_does_what_is_done_once(world, tmp_path):
    once = [{"call": "db.migrate", "args": ["{sha}"], "primary": "prod-app-3"}]
    go(world, tmp_path, once=once)
    assert world.once == [("migrate", "prod-app-3")]


def test_the_same_revision_again_changes_nothing(tmp_path):
    world = World(names(3))
    go(world, tmp_path)
    calls = len(world.calls)
    record = go(world, tmp_path)
    assert record.result is Result.UNCHANGED
    assert not {call.function for _, call in world.calls[calls:]} & {"app.stop", "revision.prepare"}
    world.once.clear()
    assert go(world, tmp_path, force={"True"}).result is Result.DONE
    assert world.least < 3


def test_what_has_the_revision_already_is_left_alone(tmp_path):
    world = World(names(3))
    machine = world.machines["prod-app-2"]
    machine.current = machine.running = sha("new")
    record = go(world, tmp_path)
    assert record.result is Result.DONE
    assert ("prod-app-2", "app.stop") not in {(server, call.function) for server, call in world.calls}


def test_zone_after_zone_and_growing_batches(tmp_path):
    world = World(names(8))
    record = go(world, tmp_path, zones=("a", "b"), strategy={"batch": [1, "25%", "100%"], "floor": "50%"})
    walked = {server.name: server.batch for server in record.servers}
    batches = [sorted(name[-1] for name in walked if walked[name] == n) for n in range(1, max(walked.values()) + 1)]
    assert batches == [["1"], ["3", "5"], ["7"], ["2", "4", "6", "8"]]
    assert world.least == 4


def test_each_step_is_told_twice_and_the_release_as_a_whole(tmp_path):
    news: list[ReleaseEvent] = []
    record = go(World(names(2)), tmp_path, news=news)
    assert news[0].step is None
    assert news[-1].release.result is Result.DONE
    reported = [event.step for event in news if event.step]
    steps = [step for step in record.steps if step.phase is not Phase.PREFLIGHT]
    assert len([step for step in reported if step.ended is None]) == len(steps)
    assert {step for step in reported if step.ended is not None} == set(steps)


def test_requests_are_counted(tmp_path):
    record = go(World(names(2)), tmp_path, traffic={"log": "/var/log/nginx/access.json"})
    assert [(server, count) for server, _, count in record.requests] == [("prod-app-1", 7), ("prod-app-2", 7)]


def test_hooks_have_their_moments(tmp_path):
    moments = ("pre_release", "pre_host", "post_host", "post_batch", "post_release", "on_failure", "on_rollback")
    hooks = {moment: [f"slack.say {moment}:{{servers}}:{{reason}}"] for moment in moments}
    world = World(names(2))
    go(world, tmp_path, hooks=hooks)
    assert [str(call.args[0]).split(":")[0] for call in world.master] == [
        "pre_release", "pre_host", "post_host", "post_batch", "pre_host", "post_host", "post_batch", "post_release",
    ]  # fmt: skip
    world.master.clear()
    world.once.clear()
    go(world, tmp_path, "sick", hooks=hooks)
    messages = [str(call.args[0]) for call in world.master]
    assert [text.split(":")[0] for text in messages] == ["pre_release", "pre_host", "on_failure", "on_rollback"]
    assert "not healthy" in messages[-1]


def test_a_failing_pre_release_hook_stops_and_a_failing_post_hook_warns(tmp_path):
    world = World(names(2))
    world.fault = lambda server, called, call: "no" if called == "gate.open" else ""
    record = go(world, tmp_path, hooks={"pre_release": ["gate.open"]})
    assert record.result is Result.ROLLED_BACK
    assert world.least == 2
    news: list[ReleaseEvent] = []
    record = go(world, tmp_path, hooks={"post_batch": ["gate.open"], "post_host": ["gate.open"]}, news=news)
    assert record.result is Result.DONE
    assert any("hook failed" in event.text for event in news)


def test_a_failing_pre_host_hook_fails_its_server(tmp_path):
    world = World(names(2))
    world.fault = lambda server, called, call: "no" if (server, called) == ("prod-app-2", "gate.open") else ""
    record = go(world, tmp_path, hooks={"pre_host": ["gate.open"]})
    assert record.result is Result.ROLLED_BACK
    assert {m.running for m in world.machines.values()} == {OLD}


def test_many_servers_cost_the_journal_what_few_cost(tmp_path):
    """Writes of the journal are one per step of a batch, however many servers have it."""
    writes = {}
    for count in (10, 300):
        world = World(names(count), floor=1)
        writes[count] = 0

        def tick(count=count):
            writes[count] += 1

        journal = Dying(Store(tmp_path / f"{count}.sqlite", durable=False), epoch=world.clock.epoch, tick=tick)
        record = release(recipe(), asked(world), world.on(tmp_path, journal=journal))
        assert record.result is Result.DONE
        assert len(world.calls) / count < 30
    assert writes[10] == writes[300]


class Unbalanced(World):
    """Nothing in front of the servers: all are in traffic."""

    def look(self, servers: Sequence[str]) -> dict[str, Seen]:
        return dict.fromkeys(servers, Seen(Traffic.IN, "no balancer"))


def test_without_a_balancer_the_journal_says_who_serves(tmp_path):
    world = Unbalanced(names(3))
    world.fault = dies(world, "prod-app-2", "app.start")
    none = {"kind": "none"}
    record = release(
        recipe(strategy={"max_failures": 1}).model_copy(update={"balancer": balancer(none)}),
        asked(world),
        world.on(tmp_path),
    )
    assert record.result is Result.PARTIAL
    assert standings(record)["prod-app-2"] is ServerStatus.LEFT_OUT
    assert {m.running for m in world.machines.values() if m.alive} == {sha("new")}


def balancer(spec):
    return type(recipe()).model_validate({**recipe().model_dump(mode="json"), "balancer": spec}).balancer


@dataclass
class Unreachable(World):
    """A balancer that cannot be reached for the drains of those numbers, counted from 1."""

    drains: Container[int] = ()
    drained: int = 0

    def drain(self, servers: Sequence[str]) -> dict[str, Reply]:
        self.drained += 1
        if self.drained in self.drains:
            raise AwsUnclear("DeregisterTargets", "InternalError", "try again")
        return super().drain(servers)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_balancer_that_cannot_be_reached_is_a_failure_like_any_other(tmp_path, at):
    record = go(Unreachable(names(3), drains={at}), tmp_path)
    assert record.result is (Result.DONE if at > 2 else Result.ROLLED_BACK)
    assert "try again" in record.reason or at > 2


def test_a_balancer_that_cannot_be_reached_on_the_way_back_is_stuck(tmp_path):
    record = go(Unreachable(names(3), drains=range(2, 100)), tmp_path)
    assert record.result is Result.STUCK
    assert "prod-app-1: drain: DeregisterTargets: InternalError: try again (in traffic)" in record.reason
    assert [s.standing for s in record.servers] == [ServerStatus.TOUCHED, ServerStatus.UNDONE, ServerStatus.UNDONE]


def test_who_was_drained_only_goes_straight_back(tmp_path):
    world = World(names(2))
    world.fault = lambda server, called, call: "no such target" if (server, called) == ("prod-app-1", "drain") else ""
    record = go(world, tmp_path)
    assert record.result is Result.ROLLED_BACK
    assert "app.stop" not in {call.function for _, call in world.calls}
    assert standings(record)["prod-app-1"] is ServerStatus.UNDONE
