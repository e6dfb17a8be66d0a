"""A plan's actions as steps with what each has to wait for: pure.

Making follows references; unmaking goes the other way. A replacement is an unmaking followed by a making.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from saltlick.engine import graph
from saltlick.engine.plan import Action, Plan, Verb
from saltlick.engine.resource import Key, Kind, Observed


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One thing to do. `name` is unique, `after` are the names of the steps that have to be done before."""

    action: Action
    destroys: bool
    after: frozenset[str]
    last: bool
    """Whether the action is complete with this step."""
    free: bool = False
    """Whether AWS does it by itself, when what this object belongs to is deleted: no call is needed."""

    @property
    def name(self) -> str:
        return _unmake(self.action) if self.destroys else _make(self.action.key)


def _make(key: Key) -> str:
    return f"make {key}"


def _unmake(action: Action) -> str:
    return f"unmake {action.key} {action.observed.id if action.observed else ''}"


def steps(plan: Plan, kinds: Mapping[str, Kind]) -> tuple[ScheduledStep, ...]:
    """The steps of a plan. A kept resource has one only while it is still coming up."""
    making = {action.key: action for action in plan.actions if _makes(action, kinds)}
    unmaking = tuple(action for action in plan.actions if action.verb in (Verb.DELETE, Verb.REPLACE))
    made = [_making_step(action, making) for action in making.values()]
    unmade = [_unmaking_step(action, unmaking, making, kinds) for action in unmaking]
    return _room_first(made, unmade)


def urgency(steps: Iterable[ScheduledStep]) -> dict[str, int]:
    """The length of the longest chain behind each step; of several ready steps, the longest chain starts first."""
    after = {step.name: step.after for step in steps}
    longest = dict.fromkeys(after, 0)
    for name in reversed(tuple(TopologicalSorter(after).static_order())):
        for need in after.get(name, ()):
            longest[need] = max(longest[need], longest[name] + 1)
    return longest


def _makes(action: Action, kinds: Mapping[str, Kind]) -> bool:
    if action.verb is Verb.KEEP:
        return bool(action.observed and action.observed.pending and kinds[action.key.kind].settles)
    return action.verb is not Verb.DELETE


def _making_step(action: Action, making: Mapping[Key, Action]) -> ScheduledStep:
    assert action.resource is not None
    after = {_make(key) for key in graph.needs(action.resource) if key in making and key != action.key}
    if action.verb is Verb.REPLACE:
        after.add(_unmake(action))
    return ScheduledStep(action, destroys=False, after=frozenset(after), last=True)


def _unmaking_step(
    action: Action, unmaking: Iterable[Action], making: Mapping[Key, Action], kinds: Mapping[str, Kind]
) -> ScheduledStep:
    gone = _observed(action)
    owner = _dies_with(action, unmaking, kinds)
    if owner is not None:
        return ScheduledStep(action, destroys=True, after=frozenset({_unmake(owner)}), last=True, free=True)
    after = {
        _unmake(other)
        for other in unmaking
        if _goes_first(_observed(other), gone, kinds) and _dies_with(other, (action,), kinds) is None
    }
    if action.verb is Verb.DELETE:
        after |= {
            _make(other.key)
            for other in making.values()
            if other.verb is Verb.UPDATE and gone.id in _observed(other).references
        }
    return ScheduledStep(action, destroys=True, after=frozenset(after), last=action.verb is Verb.DELETE)


def _dies_with(action: Action, unmaking: Iterable[Action], kinds: Mapping[str, Kind]) -> Action | None:
    """The deletion that also deletes this object: a route goes with its table, a listener with its balancer."""
    owners = kinds[action.key.kind].dies_with
    if action.verb is not Verb.DELETE or not owners:
        return None
    return next(
        (
            other
            for other in unmaking
            if other.verb is Verb.DELETE
            and other.key.kind in owners
            and _observed(other).id in _observed(action).references
        ),
        None,
    )


def _goes_first(other: Observed, gone: Observed, kinds: Mapping[str, Kind]) -> bool:
    if other is gone:
        return False
    if gone.id in other.references and other.id != gone.id:
        return True
    return other.key.environment == gone.key.environment and other.key.kind in kinds[gone.key.kind].destroy_after


def _observed(action: Action) -> Observed:
    assert action.observed is not None
    return action.observed


def _room_first(made: list[ScheduledStep], unmade: list[ScheduledStep]) -> tuple[ScheduledStep, ...]:
    """Let new objects wait for the deletion of old ones of their kind (they may want the same network), where possible."""
    roomy = [*unmade, *_waiting(made, unmade)]
    try:
        TopologicalSorter({step.name: step.after for step in roomy}).prepare()
    except CycleError:
        return (*unmade, *made)
    return tuple(roomy)


def _waiting(made: list[ScheduledStep], unmade: list[ScheduledStep]) -> Iterator[ScheduledStep]:
    for step in made:
        if step.action.verb is not Verb.CREATE:
            yield step
            continue
        old = {gone.name for gone in unmade if gone.action.key.kind == step.action.key.kind}
        yield dataclasses.replace(step, after=step.after | old)
