"""Observes all kinds in AWS concurrently and returns one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from saltlick.engine.ports import Cloud
from saltlick.engine.resource import Key, Kind, Observed, Ref, Scope
from saltlick.errors import ApplyFailed, SaltlickError


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The observed objects: one per key, and the duplicates of a key."""

    objects: Mapping[Key, Observed] = field(default_factory=dict)
    duplicates: tuple[Observed, ...] = ()

    def attribute(self, ref: Ref) -> str | None:
        """The value of a reference, or None while it is unknown."""
        observed = self.objects.get(ref.key)
        return observed.attributes.get(ref.attribute) if observed else None


def observe(kinds: Mapping[str, Kind], cloud: Cloud, scope: Scope) -> Snapshot:
    """Every tagged object in the scope's environments. The number of calls does not grow with the environments.

    Raises: ApplyFailed naming every kind that could not be looked at.
    """
    reading = cloud.reading()

    def look(kind: Kind) -> tuple[tuple[Observed, ...], SaltlickError | None]:
        try:
            return tuple(kind.observe(reading, scope)), None
        except SaltlickError as error:
            return (), error

    # What is looked up by name takes two calls, one after the other: these begin first.
    ordered = sorted(kinds.values(), key=lambda kind: not kind.lookup)
    with ThreadPoolExecutor(max_workers=max(len(ordered), 1)) as pool:
        looks = list(pool.map(look, ordered))
    failures = [f"\n  {kind.name}: {error}" for kind, (_, error) in zip(ordered, looks, strict=True) if error]
    if failures:
        raise ApplyFailed("could not look at AWS, nothing was touched:" + "".join(failures))
    return collect(observed for objects, _ in looks for observed in objects)


def collect(observed_objects: Iterable[Observed]) -> Snapshot:
    """One object per key. Of two with the same key, the one that others refer to is kept; the other is a duplicate."""
    everything = sorted(observed_objects, key=lambda observed: (observed.key, observed.id))
    pointed_to = {reference for observed in everything for reference in observed.references}
    objects: dict[Key, Observed] = {}
    duplicates: list[Observed] = []
    for observed in everything:
        other = objects.get(observed.key)
        if other is None:
            objects[observed.key] = observed
        elif other.id not in pointed_to and observed.id in pointed_to:
            objects[observed.key] = observed
            duplicates.append(other)
        else:
            duplicates.append(observed)
    return Snapshot(objects, tuple(duplicates))
