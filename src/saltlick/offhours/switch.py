"""An environment goes off, or comes back: turn by turn, and each turn only after the one before.

    off   out of traffic → application → servers, tier by tier backwards → RDS
    on    RDS → servers, tier by tier → well → into traffic

What fails ends the walk there: databases stay on while an application that needs them could not be stopped, and an application
does not start before its databases. Every part may be repeated, so the next run goes on where this one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from saltlick.engine.wait import until
from saltlick.environment.pillar import layout
from saltlick.errors import AwsError, CustodianFailed, WaitTimeout
from saltlick.offhours import policies
from saltlick.offhours.ports import PowerState, SwitchedObject
from saltlick.offhours.schedule import OnOff
from saltlick.offhours.turns import ServiceType, Turn, turns

if TYPE_CHECKING:
    from saltlick.engine.ports import Clock
    from saltlick.environment.pillar import Environment
    from saltlick.fleet.ports import Reply
    from saltlick.offhours.pillar import OffHours
    from saltlick.offhours.ports import Account, ApplicationControl, Custodian


class OutcomeStatus(str, Enum):
    """What became of a thing."""

    DONE = "done"
    ALREADY = "already"
    OPTED_OUT = "opted out"
    NEVER = "never touched"
    MISSING = "missing"
    FAILED = "failed"
    LEFT = "left"
    DUE = "due"


@dataclass(frozen=True, slots=True)
class SwitchOutcome:
    """One thing, what became of it and why."""

    turn: str
    name: str
    came: OutcomeStatus
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.came.value}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class OffHoursContext:
    """An environment, its off-hours, and the ports to it. `notify` takes sentences."""

    environment: Environment
    hours: OffHours
    account: Account
    custodian: Custodian
    application: ApplicationControl
    clock: Clock
    notify: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class SwitchReport:
    """What became of everything."""

    side: OnOff
    outcomes: tuple[SwitchOutcome, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to do: what must not be touched is not to be done."""
        return not any(
            outcome.came in (OutcomeStatus.FAILED, OutcomeStatus.LEFT, OutcomeStatus.MISSING)
            for outcome in self.outcomes
        )

    @property
    def failed(self) -> tuple[SwitchOutcome, ...]:
        """What somebody has to look at."""
        return tuple(
            outcome
            for outcome in self.outcomes
            if outcome.came in (OutcomeStatus.FAILED, OutcomeStatus.MISSING, OutcomeStatus.NEVER)
        )


@dataclass(slots=True)
class _Turn:
    """One turn under way: what there is, and what became of each by its id."""

    turn: Turn
    things: dict[str, SwitchedObject] = field(default_factory=dict)
    outcomes: dict[str, SwitchOutcome] = field(default_factory=dict)

    def set(self, thing: SwitchedObject, came: OutcomeStatus, why: str = "") -> None:
        self.outcomes[thing.id] = SwitchOutcome(str(self.turn), thing.name, came, why)

    def going(self) -> tuple[SwitchedObject, ...]:
        """Those of which nothing was decided yet."""
        return tuple(thing for key, thing in self.things.items() if key not in self.outcomes)

    @property
    def broken(self) -> bool:
        return any(outcome.came in (OutcomeStatus.FAILED, OutcomeStatus.MISSING) for outcome in self.outcomes.values())


def foresee(context: OffHoursContext, side: OnOff) -> SwitchReport:
    """What `switch` would do now. Changes nothing.

    Raises: AwsError.
    """
    outcomes: list[SwitchOutcome] = []
    for turn in turns(context.hours, context.environment, side):
        now = _looked(context, side, turn)
        outcomes += [
            *now.outcomes.values(),
            *(SwitchOutcome(str(turn), switched.name, OutcomeStatus.DUE) for switched in now.going()),
        ]
    return SwitchReport(side, tuple(outcomes))


def switch(context: OffHoursContext, side: OnOff) -> SwitchReport:
    """Make the environment off, or on. One that is not built has nothing to switch.

    Raises: AwsError, NotReady: the next run goes on from what there is then.
    """
    outcomes: list[SwitchOutcome] = []
    order = turns(context.hours, context.environment, side)
    if not any(context.account.look(turn) for turn in order):
        context.notify(f"{context.environment.name} is not built: there is nothing to switch")
        return SwitchReport(side)
    for number, turn in enumerate(order):
        now = _off(context, turn) if side is OnOff.OFF else _on(context, turn)
        outcomes += now.outcomes.values()
        if now.broken:
            outcomes += [
                SwitchOutcome(str(left), str(left), OutcomeStatus.LEFT, f"after {turn}") for left in order[number + 1 :]
            ]
            break
    return SwitchReport(side, tuple(outcomes))


def _off(context: OffHoursContext, turn: Turn) -> _Turn:
    now = _looked(context, OnOff.OFF, turn)
    if turn.service is ServiceType.EC2:
        _applications(context, now, lambda group, names: context.application.leave(group, names))
    _act(context, OnOff.OFF, now)
    return now


def _on(context: OffHoursContext, turn: Turn) -> _Turn:
    """What runs already is asked too: a start that was cut off, or a server that somebody started, may not be in traffic."""
    now = _looked(context, OnOff.ON, turn)
    limit_s = float(context.hours.settle_s)
    started = {thing.id for thing in now.going()}
    _act(context, OnOff.ON, now)
    if turn.service is not ServiceType.EC2:
        return now
    up = {key for key, switched in now.outcomes.items() if switched.came in (OutcomeStatus.DONE, OutcomeStatus.ALREADY)}
    came = {key: now.outcomes.pop(key) for key in up}
    _applications(context, now, lambda group, names: context.application.enter(group, names, deadline_s=limit_s))
    for key in up - now.outcomes.keys():
        now.outcomes[key] = came[key] if key not in started else replace(came[key], why="well")
    return now


def _looked(context: OffHoursContext, side: OnOff, turn: Turn) -> _Turn:
    """Everything of a turn as it is now; what is not to be switched is decided already."""
    now = _Turn(turn, {thing.id: thing for thing in context.account.look(turn)})
    for thing in now.things.values():
        if thing.never:
            now.set(thing, OutcomeStatus.NEVER, thing.never)
        elif thing.opted_out:
            now.set(thing, OutcomeStatus.OPTED_OUT, f"by its tag {context.hours.tag}")
        elif thing.power.is_at(side):
            now.set(thing, OutcomeStatus.ALREADY, thing.state)
    if side is OnOff.ON:
        there = {thing.name for thing in now.things.values() if not thing.never}
        for name in _declared(context, turn):
            if name not in there:
                now.outcomes[name] = SwitchOutcome(
                    str(turn), name, OutcomeStatus.MISSING, "AWS has no server of that name"
                )
    for outcome in now.outcomes.values():
        context.notify(str(outcome))
    return now


def _declared(context: OffHoursContext, turn: Turn) -> tuple[str, ...]:
    return tuple(name for group in turn.groups for name in layout.server_names(context.environment, group))


def _applications(
    context: OffHoursContext, now: _Turn, ask: Callable[[str, Sequence[str]], Mapping[str, Reply]]
) -> None:
    """Ask the application about all servers of the turn that are running, group by group; who fails goes no further."""
    for group in now.turn.groups:
        servers = {
            thing.name: thing for thing in now.going() if thing.group == group and thing.power is not PowerState.OFF
        }
        for name, reply in (ask(group, tuple(servers)) if servers else {}).items():
            if not reply.ok:
                now.set(servers[name], OutcomeStatus.FAILED, reply.error)
                context.notify(str(now.outcomes[servers[name].id]))


def _act(context: OffHoursContext, side: OnOff, now: _Turn) -> None:
    """Have Custodian switch what is left, and see that AWS did it. Nothing goes while one of the turn cannot."""
    if now.broken:
        for thing in now.going():
            now.set(thing, OutcomeStatus.LEFT, "another of its turn failed")
        return
    _look_again(context, side, now)
    going = now.going()
    if not going:
        return
    context.notify(
        f"{now.turn}: {'stopping' if side is OnOff.OFF else 'starting'} {', '.join(switched.name for switched in going)}"
    )
    try:
        acted = _custodian(context, side, now.turn, going)
    except CustodianFailed as error:
        for thing in going:
            now.set(thing, OutcomeStatus.FAILED, str(error))
        return
    for thing in going:
        if thing.id not in acted and thing.power is not PowerState.MOVING:
            now.set(thing, OutcomeStatus.FAILED, "Custodian's own filters left it out")
    _settle(context, side, now)
    for key in (switched.id for switched in going):
        context.notify(str(now.outcomes[key]))


def _look_again(context: OffHoursContext, side: OnOff, now: _Turn) -> None:
    """Right before Custodian acts: draining took a while, and tags are what somebody may have changed in it."""
    fresh = {thing.id: thing for thing in context.account.look(now.turn)}
    for thing in now.going():
        seen = fresh.get(thing.id)
        if seen is None:
            now.set(thing, OutcomeStatus.NEVER, "it is not this environment's any more")
        elif seen.never:
            now.set(thing, OutcomeStatus.NEVER, seen.never)
        elif seen.power.is_at(side):
            now.set(thing, OutcomeStatus.ALREADY, seen.state)
        else:
            now.things[thing.id] = seen


def _custodian(context: OffHoursContext, side: OnOff, turn: Turn, going: Sequence[SwitchedObject]) -> frozenset[str]:
    """Who is on its way already (stopped by hand a moment ago) is waited for, and not told again."""
    ids: dict[str, list[str]] = {}
    for thing in going:
        if thing.power is not PowerState.MOVING:
            ids.setdefault(thing.group, []).append(thing.id)
    made = policies.now(context.hours, context.environment, side, turn, ids)
    acted = context.custodian.run(made) if made else {}
    return frozenset(key for keys in acted.values() for key in keys)


def _settle(context: OffHoursContext, side: OnOff, now: _Turn) -> None:
    """Wait until AWS shows each where it should be."""
    waiting = {thing.id for thing in now.going()}

    def probe() -> dict[str, SwitchedObject]:
        return {thing.id: thing for thing in context.account.look(now.turn) if thing.id in waiting}

    def missing(seen: Mapping[str, SwitchedObject]) -> list[str]:
        return [key for key in waiting if key not in seen or not seen[key].power.is_at(side)]

    try:
        seen = until(
            probe,
            lambda seen: not missing(seen),
            what=str(now.turn),
            describe=lambda seen: ", ".join(f"{switched.name} {switched.state}" for switched in seen.values()),
            deadline_s=float(context.hours.settle_s),
            clock=context.clock,
        )
        late = ""
    except WaitTimeout as error:
        seen, late = probe(), str(error)
    except AwsError as error:
        seen, late = {}, str(error)
    now.things |= seen
    for thing in now.going():
        there = seen.get(thing.id)
        good = there is not None and there.power.is_at(side)
        now.set(thing, OutcomeStatus.DONE if good else OutcomeStatus.FAILED, there.state if good and there else late)
