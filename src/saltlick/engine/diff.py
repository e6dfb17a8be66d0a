"""Compares a declared resource with its observed object. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from saltlick.engine.resource import Effect, Kind, Observed, Ref, Resource, references, resolve

Known = Callable[[Ref], str | None]
"""The value of a reference, or None while its object does not exist."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: its observed value, its declared value (a reference while unknown), and the effect of a change."""

    field: str
    old: Any
    new: Any
    effect: Effect


def changes(kind: Kind, resource: Resource, observed: Observed, known: Known) -> tuple[Change, ...]:
    """Every field in which the object differs from its declaration, tags included."""
    return (*_fields(kind, resource, observed, known), *_tags(resource, observed))


def _fields(kind: Kind, resource: Resource, observed: Observed, known: Known) -> Iterator[Change]:
    for spot in dataclasses.fields(resource.properties):
        desired = getattr(resource.properties, spot.name)
        if desired is None or spot.name not in observed.properties:
            continue
        old = observed.properties[spot.name]
        new = known_value(kind, spot.name, desired, known)
        if new != old:
            yield Change(spot.name, old, new, spot.metadata["effect"])


def known_value(kind: Kind, field_name: str, desired: Any, known: Known) -> Any:
    """The wanted value as `observe` would give it, or unchanged while one of its references is not known."""
    values = {ref: known(ref) for ref in references(desired)}
    if any(value is None for value in values.values()):
        return desired
    return kind.normalise(field_name, resolve(desired, values.__getitem__))


def _tags(resource: Resource, observed: Observed) -> Iterator[Change]:
    if observed.tags is None:
        return
    for name, desired in sorted(resource.all_tags().items()):
        old = observed.tags.get(name)
        if old != desired:
            yield Change(f"tags.{name}", old, desired, Effect.UPDATE)


def fields_of(differences: tuple[Change, ...]) -> frozenset[str]:
    """The names a kind's `update` gets: field names, with `tags` for any tag."""
    return frozenset("tags" if change.field.startswith("tags.") else change.field for change in differences)


def by_effect(differences: tuple[Change, ...]) -> Mapping[Effect, tuple[Change, ...]]:
    """The changes grouped by effect."""
    return {effect: tuple(c for c in differences if c.effect is effect) for effect in Effect}
