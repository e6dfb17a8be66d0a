"""The plan is a value: what would be done to each resource and why. `render` shows it, `apply` runs it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from saltlick.engine import graph
from saltlick.engine.diff import Change, Known, by_effect, changes
from saltlick.engine.observe import Snapshot
from saltlick.engine.resource import Effect, Key, Kind, Observed, Ref, Resource, references
from saltlick.errors import InvalidInput, NeedsDecision, Problem


class Verb(str, Enum):
    """What the plan does to one resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One resource's part of the plan.

    `changes` is what will be acted upon; `drift` is shown and left alone; `undecided` holds changes that only a new object can
    have and that was not requested with `replace`: a plan with any of these is not applied.
    """

    verb: Verb
    key: Key
    title: str
    resource: Resource | None = None
    observed: Observed | None = None
    changes: tuple[Change, ...] = ()
    drift: tuple[Change, ...] = ()
    undecided: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All actions in an order in which they can be applied, and the observed objects that are not declared.

    `missing` are references to objects of environments outside this plan that do not exist yet. `kept` are objects that a destroy
    leaves because they were named.
    """

    environments: tuple[str, ...]
    actions: tuple[Action, ...]
    undeclared: tuple[Observed, ...]
    missing: tuple[Ref, ...]
    snapshot: Snapshot
    kept: tuple[Observed, ...] = ()

    @property
    def counts(self) -> Mapping[str, int]:
        """Verb to number of actions, all verbs present."""
        counted = Counter(action.verb.value for action in self.actions)
        return {verb.value: counted[verb.value] for verb in Verb}

    @property
    def changes_anything(self) -> bool:
        return any(action.verb is not Verb.KEEP or action.undecided for action in self.actions)

    @property
    def drifted(self) -> bool:
        """Whether AWS differs from the pillar in any way, acted upon or not."""
        return self.changes_anything or bool(self.undeclared) or any(action.drift for action in self.actions)

    def require_decided(self) -> None:
        """Refuse a plan with a replacement that was not requested, or a missing peer.

        Raises: NeedsDecision, InvalidInput.
        """
        if self.missing:
            raise InvalidInput(
                sorted(
                    {
                        Problem(str(ref.key), f"does not exist yet: apply {ref.key.environment} first")
                        for ref in self.missing
                    }
                ),
                what="plan",
            )
        undecided = [_undecided(action) for action in self.actions if action.undecided]
        if undecided:
            raise NeedsDecision(undecided, what="plan")


def _undecided(action: Action) -> Problem:
    fields = ", ".join(change.field for change in action.undecided)
    return Problem(
        str(action.key),
        f"{fields} can only be changed by replacing it: ask for it with replace={action.key.address}, or take the change back",
    )


def build(
    kinds: Mapping[str, Kind],
    environments: Iterable[str],
    resources: Iterable[Resource],
    snapshot: Snapshot,
    *,
    replace: Iterable[str] = (),
    prune: bool = False,
) -> Plan:
    """Compare the declared resources with the snapshot.

    `replace` names resources to create again (`instance/app-1`, `app-1`, `prod-app-1` or `prod:instance/app-1`); `prune` deletes
    what is ours and undeclared.

    Raises: InvalidInput when an address is declared twice, needs go in a circle, or `replace` names something unknown.
    """
    mine = tuple(environments)
    order = graph.ordered(resources)
    desired = {resource.key: resource for resource in order}
    renewed = _asked_for(replace, order)
    later: set[Key] = set()

    def known(ref: Ref) -> str | None:
        return None if ref.key in later else snapshot.attribute(ref)

    _require_found(kinds, order, snapshot)
    actions = []
    for resource in order:
        if kinds[resource.kind].lookup:
            continue
        action = _decide(kinds[resource.kind], resource, snapshot, known, renewed)
        if action.verb in (Verb.CREATE, Verb.REPLACE):
            later.add(resource.key)
        actions.append(action)
    undeclared = tuple(_undeclared(kinds, mine, desired, snapshot))
    deletions = [deletion(observed) for observed in undeclared] if prune else []
    return Plan(
        environments=mine,
        actions=(*actions, *deletions),
        undeclared=() if prune else undeclared,
        missing=tuple(_missing(order, desired, snapshot)),
        snapshot=snapshot,
    )


def _require_found(kinds: Mapping[str, Kind], order: Iterable[Resource], snapshot: Snapshot) -> None:
    problems = [
        Problem(str(r.key), f"AWS has nothing like {_description(r)}")
        for r in order
        if kinds[r.kind].lookup and r.key not in snapshot.objects
    ]
    if problems:
        raise InvalidInput(problems, what="plan")


def _description(resource: Resource) -> str:
    values = {spot.name: getattr(resource.properties, spot.name) for spot in dataclasses.fields(resource.properties)}
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


def _decide(kind: Kind, resource: Resource, snapshot: Snapshot, known: Known, renewed: frozenset[Key]) -> Action:
    observed = snapshot.objects.get(resource.key)
    if observed is None:
        return Action(verb=Verb.CREATE, key=resource.key, title=resource.title, resource=resource)
    differences = by_effect(changes(kind, resource, observed, known))
    if resource.key in renewed:
        everything = tuple(change for effect in Effect for change in differences[effect])
        return Action(
            verb=Verb.REPLACE,
            key=resource.key,
            title=resource.title,
            resource=resource,
            observed=observed,
            changes=everything,
        )
    return Action(
        verb=Verb.UPDATE if differences[Effect.UPDATE] else Verb.KEEP,
        key=resource.key,
        title=resource.title,
        resource=resource,
        observed=observed,
        changes=differences[Effect.UPDATE],
        drift=differences[Effect.DRIFT],
        undecided=differences[Effect.REPLACE],
    )


def deletion(observed: Observed) -> Action:
    """The action that deletes one object."""
    title = (observed.tags or {}).get("Name", observed.id)
    return Action(verb=Verb.DELETE, key=observed.key, title=title, observed=observed)


def _undeclared(
    kinds: Mapping[str, Kind], mine: tuple[str, ...], desired: Mapping[Key, Resource], snapshot: Snapshot
) -> Iterator[Observed]:
    for key, observed in sorted(snapshot.objects.items()):
        if key.environment in mine and key not in desired and not kinds[key.kind].lookup:
            yield observed
    yield from (observed for observed in snapshot.duplicates if observed.key.environment in mine)


def _missing(order: Iterable[Resource], desired: Mapping[Key, Resource], snapshot: Snapshot) -> Iterator[Ref]:
    for resource in order:
        for ref in references(resource.properties):
            if ref.key not in desired and snapshot.attribute(ref) is None:
                yield ref


def _asked_for(replace: Iterable[str], order: tuple[Resource, ...]) -> frozenset[Key]:
    renewed: set[Key] = set()
    problems = []
    for word in replace:
        named = {r.key for r in order if word in (str(r.key), r.key.address)}
        named = named or {r.key for r in order if word in (r.name, r.title)}
        if len(named) == 1:
            renewed |= named
        else:
            choices = ", ".join(map(str, sorted(named)))
            problems.append(
                Problem(f"replace={word}", f"is it {choices}?" if named else "no such resource is declared")
            )
    if problems:
        raise InvalidInput(problems, what="arguments")
    return frozenset(renewed)
