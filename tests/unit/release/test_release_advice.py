"""What a release says to do next is done here, in the state it is said in, and ends with all servers well and in traffic.

`force` is in none of it. A server gets into trouble at each step of its walk, in the first batch and in the last, and comes back
later; what it runs then is anybody's guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.present import present
from support.release_world import OLD, Bomb, Dying, Killed, Machine, World, asked, names, recipe, sha

from saltlick.errors import InvalidInput
from saltlick.fleet.ports import Call, Reply, Traffic
from saltlick.jobs.store import Store
from saltlick.release import resume, rollout
from saltlick.release.context import ReleaseContext
from saltlick.release.journal.left_behind import left_behind, to_resume
from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerStatus
from saltlick.release.planning.server_health import observe_servers
from saltlick.release.report import wording

STEPS = ("drain", "app.stop", "revision.activate", "app.start", "health.http", "restore")
COMMAND = re.compile(r"salt-run release\.(\w+) (\S+)((?: \w+=\S+)*)")
FROZEN_S = 150.0


@dataclass
class Troubled(World):
    """A fleet in which one server gets into trouble, once, at a step of its walk."""

    victim: str = ""
    step: str = ""
    trouble: Callable[[Troubled, Machine], None] = lambda world, machine: None
    after: bool = False
    """The trouble begins when the step has been done, and its answer is lost."""
    unheard: list[tuple[str, Call]] = field(default_factory=list)
    """What a frozen minion was told; it does that when it thaws."""
    thaws: float | None = None

    def _reply(self, server: str, call: Call, deadline_s: float) -> Reply:
        machine = self.machines[server]
        if server == self.victim and machine.traffic is not Traffic.IN and call.function == self.step:
            if self.after:
                super()._reply(server, call, deadline_s)
            self._strike(machine)
        if server == self.victim and self.thaws is not None:
            if self.clock.now() < self.thaws:
                self.unheard.append((server, call))
                return Reply(False, error=f"{call.function}: no answer in {deadline_s:.0f} s", silent=True)
            self.thaw()
        return super()._reply(server, call, deadline_s)

    def _switch(self, name: str, what: str, traffic: Traffic) -> Reply:
        if (name, what) == (self.victim, self.step):
            self._strike(self.machines[name])
        return super()._switch(name, what, traffic)

    def _strike(self, machine: Machine) -> None:
        self.step = ""
        self.trouble(self, machine)

    def thaw(self) -> None:
        """What was told to a frozen minion is done now, late."""
        late, self.unheard, self.thaws = self.unheard, [], None
        for server, call in late:
            super()._reply(server, call, 60)


def cut_off(world: Troubled, machine: Machine) -> None:
    """Nobody reaches it; its process goes on."""
    machine.alive = False


def rebooted(world: Troubled, machine: Machine) -> None:
    """It is down, and comes up with what is current there, or with nothing."""
    machine.alive, machine.running = False, ""


def frozen_for_good(world: Troubled, machine: Machine) -> None:
    """Its minion does nothing until long after the release; the application serves."""
    world.thaws = float("inf")


def frozen(world: Troubled, machine: Machine) -> None:
    """Its minion does nothing for a while: longer than a step is waited for."""
    world.thaws = world.clock.now() + FROZEN_S


def returns(world: Troubled, *, starts: bool) -> None:
    """The server answers again; a balancer that had it finds it ill or well by itself."""
    machine = world.machines[world.victim]
    machine.alive = True
    if world.thaws is not None:
        world.thaw()
    if starts:
        machine.running = machine.current
    if machine.traffic is Traffic.UNHEALTHY and world.well(machine):
        machine.traffic = Traffic.IN


TROUBLES = {"cut off": cut_off, "rebooted": rebooted, "frozen": frozen_for_good}


def typed(world: World, on: ReleaseContext, command: str) -> ReleaseRecord:
    """What an operator pastes from a message."""
    name, environment, rest = present(COMMAND.fullmatch(command)).groups()
    words = dict(word.split("=", 1) for word in rest.split())
    assert environment == "prod"
    if name == "resume":
        assert not words
        return resume.resume(present(to_resume(on.journal.history("prod"))).id, on, who="bob")
    assert name == "rolling"
    assert "force" not in words, "a way that needs force is none"
    return rollout.release(recipe(), asked(world, **words), on)


def advised(record: ReleaseRecord, name: str) -> list[str]:
    """The commands of that name in what is said of a release."""
    said = [found.group() for sentence in wording.advice(record) for found in COMMAND.finditer(sentence)]
    return [command for command in said if command.startswith(f"salt-run release.{name} ") and "force=" not in command]


def healthy(world: World, on: ReleaseContext, rev: str) -> None:
    """All servers run one revision, well and in traffic, and nothing is on the list any more."""
    assert {machine.running for machine in world.machines.values()} == {rev}
    assert {machine.current for machine in world.machines.values()} == {rev}
    assert {machine.traffic for machine in world.machines.values()} == {Traffic.IN}
    assert not left_behind(on.journal.history("prod"))
    assert to_resume(on.journal.history("prod")) is None


def broken_off(
    path: Path, step: str, trouble: str, victim: str, count: int, *, after: bool = False, kind: str = "prepared"
) -> tuple[Troubled, ReleaseContext]:
    world = Troubled(names(count), kind=kind, victim=victim, step=step, trouble=TROUBLES[trouble], after=after)
    return world, world.on(path)


def rolled(world: World, on: ReleaseContext, rev: str = "new", **strategy: object) -> ReleaseRecord:
    """A release, checked by the rules that hold for all."""
    world.once.clear()
    record = rollout.release(recipe(strategy={"kind": world.kind, **strategy}), asked(world, rev), on)
    world.consistent(record)
    return record


def followed(world: World, on: ReleaseContext, command: str) -> ReleaseRecord:
    """What comes of an advised command, checked by the rules that hold for all."""
    world.once.clear()
    record = typed(world, on, command)
    world.consistent(record)
    return record


CASES = [
    (step, trouble, after, way)
    for step in STEPS
    for trouble in TROUBLES
    for after, way in ((False, "resume"), (True, "rolling"), (False, "rolling"), (True, "resume"))
    if step == "app.start" or after == (way == "rolling")
]
WHO = [("prod-app-1", 2), ("prod-app-2", 2), ("prod-app-3", 4)]


@pytest.mark.parametrize(("victim", "count"), WHO)
@pytest.mark.parametrize(("step", "trouble", "after", "way"), CASES)
def test_the_advice_leads_to_a_healthy_fleet(tmp_path, step, trouble, victim, count, after, way):
    world, on = broken_off(tmp_path, step, trouble, victim, count, after=after)
    record = rolled(world, on)
    assert victim in left_behind(on.journal.history("prod"))
    returns(world, starts=after != (count == 2))
    if record.result is Result.STUCK:
        assert not advised(record, "rolling")
        way = "resume"
    record = followed(world, on, *advised(record, way))
    assert record.result is (Result.DONE if way == "rolling" else Result.ROLLED_BACK)
    healthy(world, on, sha("new") if way == "rolling" else OLD)


@pytest.mark.parametrize("step", ["revision.checkout", "build.make", "app.start"])
@pytest.mark.parametrize("way", ["resume", "rolling"])
def test_in_place_as_well(tmp_path, step, way):
    world, on = broken_off(tmp_path, step, "cut off", "prod-app-1", 2, kind="in_place")
    record = rolled(world, on)
    assert left_behind(on.journal.history("prod")).keys() == {"prod-app-1"}
    returns(world, starts=False)
    followed(world, on, *advised(record, way))
    healthy(world, on, sha("new") if way == "rolling" else OLD)


@pytest.mark.parametrize("victim", ["prod-app-1", "prod-app-2"])
def test_a_minion_that_thaws_while_the_others_go_back_is_brought_back_by_itself(tmp_path, victim):
    """What it was told while it was frozen it does late: it stops what serves. It is told to start after that."""
    world = Troubled(names(2), victim=victim, step="app.stop", trouble=frozen)
    on = world.on(tmp_path)
    record = rolled(world, on)
    assert record.result is Result.ROLLED_BACK
    waited = [step.detail for step in record.steps if step.phase is Phase.WAIT and step.undo]
    assert waited == [f"{victim} answers again"]
    healthy(world, on, OLD)


def test_who_does_not_answer_is_refused_until_it_does_and_then_comes_back(tmp_path):
    world, on = broken_off(tmp_path, "app.start", "cut off", "prod-app-1", 2, after=True)
    again = advised(rolled(world, on), "rolling")[0]
    record = followed(world, on, again)
    assert record.result is Result.REFUSED
    assert "give the same command again" in wording.advice(record)[0]
    assert left_behind(on.journal.history("prod")).keys() == {"prod-app-1"}, "a refused release changes nothing of that"
    record = followed(world, on, *advised(present(to_resume(on.journal.history("prod"))), "resume"))
    assert record.result is Result.ROLLED_BACK
    assert record.reason.count("out of traffic, and left there: prod-app-1") == 1
    returns(world, starts=False)
    assert followed(world, on, again).result is Result.DONE
    healthy(world, on, sha("new"))


@pytest.mark.parametrize("rev", ["bad-build", "bad-start", "sick"])
def test_a_next_release_that_fails_brings_it_back_to_what_the_others_run(tmp_path, rev):
    """It was cut off after it was started with the revision that was taken back everywhere else, and comes back with that."""
    world, on = broken_off(tmp_path, "app.start", "cut off", "prod-app-1", 2, after=True)
    rolled(world, on)
    returns(world, starts=True)
    assert world.machines["prod-app-1"].running == sha("new")
    record = rolled(world, on, rev)
    assert record.result is Result.ROLLED_BACK
    healthy(world, on, OLD)


def test_a_next_release_that_is_aborted_after_its_drain_does_not_put_it_back_as_it_is(tmp_path):
    world, on = broken_off(tmp_path, "app.start", "cut off", "prod-app-1", 2, after=True)
    rolled(world, on)
    returns(world, starts=True)
    world.when["drain"] = lambda: on.interrupts.hit("Ctrl-C")
    world.machines["prod-app-1"].traffic = Traffic.UNHEALTHY
    assert rolled(world, on, "newer").result is Result.ROLLED_BACK
    healthy(world, on, OLD)


def test_within_the_budget_the_same_release_again_brings_it_back(tmp_path):
    world, on = broken_off(tmp_path, "health.http", "rebooted", "prod-app-3", 4)
    record = rolled(world, on, max_failures=1)
    assert record.result is Result.PARTIAL
    assert to_resume(on.journal.history("prod")) is None
    with pytest.raises(InvalidInput, match="it is over: done, servers left out"):
        resume.resume(record.id, on, who="bob")
    returns(world, starts=False)
    assert followed(world, on, *advised(record, "rolling")).result is Result.DONE
    healthy(world, on, sha("new"))


def test_one_that_is_still_ill_stays_out_and_on_the_list_and_nothing_is_stuck(tmp_path):
    world, on = broken_off(tmp_path, "health.http", "rebooted", "prod-app-3", 4)
    rolled(world, on, max_failures=1)
    returns(world, starts=False)
    world.fault = lambda server, called, call: "no" if (server, called) == ("prod-app-3", "app.start") else ""
    record = rolled(world, on)
    assert record.result is Result.ROLLED_BACK
    assert {server.name: server.standing for server in record.servers if server.standing is not ServerStatus.DONE} == {
        "prod-app-3": ServerStatus.LEFT_OUT
    }
    assert left_behind(on.journal.history("prod"))["prod-app-3"].sha == sha("new")
    world.fault = lambda server, called, call: ""
    assert followed(world, on, *advised(record, "resume")).result is Result.ROLLED_BACK
    healthy(world, on, sha("new"))


def test_several_come_back_first_and_the_floor_holds(tmp_path):
    world = Troubled(names(4), floor=2)
    on = world.on(tmp_path)
    world.fault = lambda server, called, call: (
        "silent" if server in {"prod-app-2", "prod-app-4"} and world.machines[server].traffic is Traffic.OUT else ""
    )
    assert rolled(world, on, batch="100%", floor=2, max_failures=1).result in {Result.STUCK, Result.ROLLED_BACK}
    behind = left_behind(on.journal.history("prod")).keys()
    out = [machine.name for machine in world.machines.values() if machine.traffic is Traffic.OUT]
    assert out
    assert set(out) <= behind
    world.fault = lambda server, called, call: ""
    plan = rollout.plan(recipe(strategy={"batch": 1, "floor": 2}), asked(world), on)
    assert [server.name for batch in plan.batches for server in batch.servers][: len(out)] == out
    for _ in range(2):
        record = on.journal.read(present(to_resume(on.journal.history("prod"))).id)
        followed(world, on, *advised(present(record), "resume"))
        if to_resume(on.journal.history("prod")) is None:
            break
    healthy(world, on, OLD)


def test_it_goes_first_where_the_floor_would_let_nobody_else_out(tmp_path):
    world, on = broken_off(tmp_path, "health.http", "rebooted", "prod-app-2", 3)
    assert rolled(world, on, batch=1, max_failures=1).result is Result.PARTIAL
    returns(world, starts=False)
    world.floor = 2
    record = rolled(world, on, "newer", batch=1, floor=2)
    assert record.result is Result.DONE
    assert [server.batch for server in record.servers] == [2, 1, 3]
    healthy(world, on, sha("newer"))


def test_stuck_and_given_up_a_release_over_it_brings_it_back_too(tmp_path):
    """The one way that is told with a word of `force`: over a release that is half done."""
    world, on = broken_off(tmp_path, "health.http", "cut off", "prod-app-2", 2)
    record = rolled(world, on)
    assert record.result is Result.STUCK
    over = next(sentence for sentence in wording.advice(record) if "force=unfinished" in sentence)
    assert "salt-run release.unlock prod force=True, then salt-run release.rolling prod rev=" in over
    returns(world, starts=True)
    world.once.clear()
    record = rollout.release(recipe(), asked(world, sha("new")[:7], force=frozenset({"unfinished"})), on)
    world.consistent(record)
    assert record.result is Result.DONE
    healthy(world, on, sha("new"))


def test_killed_anywhere_while_it_brings_a_server_back_it_is_taken_up(tmp_path):
    ends = set()
    for at in range(1, 400, 3):
        world = Troubled(names(2), victim="prod-app-1", step="app.start", trouble=cut_off, after=True)
        world.clock.sleep(at * 10_000)
        journal = Dying(Store(tmp_path / f"{at}.sqlite", durable=False), epoch=world.clock.epoch)
        on = world.on(None, journal=journal)
        command = advised(rolled(world, on), ("rolling", "resume")[at % 2])[0]
        returns(world, starts=True)
        world.once.clear()
        world.tick = journal.tick = Bomb(at)
        try:
            record = typed(world, on, command)
        except Killed:
            world.tick = journal.tick = lambda: None
            taken_up = present(to_resume(journal.history("prod")))
            record = resume.resume(taken_up.id, on, who="bob")
        else:
            break
        finally:
            world.tick = journal.tick = lambda: None
        world.consistent(record)
        ends.add(record.result)
        if to_resume(journal.history("prod")):  # killed before the second release began, the first was taken up
            record = typed(world, on, "salt-run release.resume prod")
        healthy(world, on, present(journal.latest("prod")).sha if record.result is Result.DONE else OLD)
    assert at > 30
    assert ends == {Result.DONE, Result.ROLLED_BACK}


def test_a_later_release_of_the_group_has_taken_over_what_an_earlier_one_left(tmp_path):
    world, on = broken_off(tmp_path, "app.start", "cut off", "prod-app-1", 2, after=True)
    first = rolled(world, on)
    returns(world, starts=False)
    rolled(world, on)
    with pytest.raises(AssertionError):
        typed(world, on, *advised(first, "resume"))


def test_a_look_at_an_ill_server_asks_it_once(tmp_path):
    """A release waits some seconds for a good answer; who looks wants to know what is now."""
    world = World(names(3))
    world.machines["prod-app-2"].running = ""
    world.machines["prod-app-2"].traffic = Traffic.UNHEALTHY
    seen = observe_servers(recipe(), "prod", asked(world).servers, world.on(tmp_path))
    assert [server.healthy for server in seen] == [True, False, True]
    asked_for = [call.kwargs for _, call in world.calls if call.function == "health.http"]
    assert {(how["successes"], how["interval_s"] >= how["deadline_s"]) for how in asked_for} == {(1, True)}
