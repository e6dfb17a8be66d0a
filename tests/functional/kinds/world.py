"""A very small engine: makes, sees, changes and destroys one resource at a time, so that each kind is tested by itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from saltlick.engine.diff import changes, fields_of
from saltlick.engine.resource import (
    Attributes,
    Effect,
    Key,
    Observed,
    Ref,
    Resource,
    Scope,
    Wanted,
    references,
    resolve,
)
from saltlick.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from saltlick.engine.diff import Change
    from saltlick.engine.ports import Cloud


class World:
    """One account, and what has been made in it."""

    def __init__(self, cloud: Cloud, estate: Iterable[Resource]) -> None:
        self.cloud = cloud
        self.estate: dict[Key, Resource] = {resource.key: resource for resource in estate}
        self.made: dict[Key, Attributes] = {}

    def make(self, resource: Resource, *, cloud: Cloud | None = None) -> Attributes:
        """Create it and wait for it, after all that it needs."""
        for needed in self.needs(resource):
            if needed.key not in self.made:
                self.make(needed)
        kind = KINDS[resource.kind]
        if kind.lookup:
            self.made[resource.key] = self.require(resource).attributes
            return self.made[resource.key]
        attributes = kind.create((cloud or self.cloud).patient(5), self.wanted(resource))
        if kind.settles:
            attributes = kind.settle(self.cloud.patient(5), attributes, 30)
        self.made[resource.key] = attributes
        return attributes

    def needs(self, resource: Resource) -> list[Resource]:
        keys = [ref.key for ref in references(resource.properties)] + sorted(resource.after)
        return [self.estate[key] for key in dict.fromkeys(keys)]

    def wanted(self, resource: Resource) -> Wanted:
        properties = resolve(resource.properties, self.attribute)
        return Wanted(resource=resource, properties=properties, tags=resource.all_tags(), token="t-1", deadline_s=30)

    def attribute(self, ref: Ref) -> Any:
        return self.made[ref.key][ref.attribute]

    def see_all(self, kind: str, *environments: str, wanted: Mapping[Key, Resource] | None = None) -> list[Observed]:
        """Everything of that kind which is ours in these environments."""
        scope = Scope(environments or ("prod",), self.estate if wanted is None else wanted)
        return list(KINDS[kind].observe(self.cloud.reading(), scope))

    def see(self, resource: Resource) -> Observed | None:
        scope = {**self.estate, resource.key: resource}
        found = [o for o in self.see_all(resource.kind, resource.environment, wanted=scope) if o.key == resource.key]
        assert len(found) <= 1, found
        return found[0] if found else None

    def require(self, resource: Resource) -> Observed:
        observed = self.see(resource)
        assert observed is not None, f"{resource.key} is not there"
        return observed

    def differences(self, resource: Resource) -> tuple[Change, ...]:
        """In what AWS has differs from what is wanted."""
        return changes(KINDS[resource.kind], resource, self.require(resource), self._known)

    def _known(self, ref: Ref) -> str | None:
        return self.made.get(ref.key, {}).get(ref.attribute)

    def update(self, resource: Resource, *, cloud: Cloud | None = None) -> None:
        """Make everything that can be changed in place as it is wanted."""
        for needed in self.needs(resource):
            if needed.key not in self.made:
                self.make(needed)
        found = tuple(c for c in self.differences(resource) if c.effect is Effect.UPDATE)
        kind, observed = KINDS[resource.kind], self.require(resource)
        assert found, "nothing to update"
        attributes = kind.update((cloud or self.cloud), self.wanted(resource), observed, fields_of(found))
        if kind.settles:
            attributes = kind.settle(self.cloud, attributes, 30)
        self.made[resource.key] = attributes

    def destroy(self, resource: Resource) -> None:
        observed = self.require(resource)
        KINDS[resource.kind].destroy(self.cloud, observed, 30)
        self.made.pop(resource.key, None)


def having(resource: Resource, **properties: Any) -> Resource:
    """The same resource with other properties."""
    return dataclasses.replace(resource, properties=dataclasses.replace(resource.properties, **properties))
