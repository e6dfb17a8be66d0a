"""The long form joined with what the short form makes: added, or laid over it where it says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from saltlick.engine.resource import Key, Resource
from saltlick.environment.pillar.longform import fields
from saltlick.environment.pillar.model import Environment, LongForm
from saltlick.kinds import KINDS


def merged(environment: Environment, short_form: Iterable[Resource]) -> tuple[Resource, ...]:
    """All resources: those of the short form, with overrides applied, then those the long form adds."""
    resources = {resource.key: resource for resource in short_form}
    for entry in environment.resources:
        key = Key(environment.name, f"{entry.kind}/{entry.name}")
        resources[key] = _overridden(resources[key], entry) if entry.override else _added(environment, entry)
    return tuple(resources.values())


def _overridden(resource: Resource, entry: LongForm) -> Resource:
    values = fields(type(resource.properties), entry.properties, resource.environment, partial=True)
    return dataclasses.replace(
        resource,
        title=entry.title or resource.title,
        properties=dataclasses.replace(resource.properties, **values),
        tags={**resource.tags, **entry.tags},
        after=resource.after | _after(resource.environment, entry),
        protected=resource.protected or entry.protected,
    )


def _added(environment: Environment, entry: LongForm) -> Resource:
    cls = KINDS[entry.kind].properties
    return Resource(
        environment=environment.name,
        kind=entry.kind,
        name=entry.name,
        title=entry.title or f"{environment.name}-{entry.name}",
        properties=cls(**fields(cls, entry.properties, environment.name)),
        tags={**environment.tags, **entry.tags},
        after=_after(environment.name, entry),
        protected=entry.protected,
    )


def _after(environment: str, entry: LongForm) -> frozenset[Key]:
    return frozenset(Key(environment, address) for address in entry.after)
