"""Sorts resources by their dependencies before any AWS call. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from saltlick.engine.resource import Key, Resource, references
from saltlick.errors import InvalidInput, Problem


def needs(resource: Resource) -> frozenset[Key]:
    """The keys of the resources that must exist before this one: its references and its `after`."""
    return frozenset(ref.key for ref in references(resource.properties)) | resource.after


def ordered(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """The resources, each after everything it needs among them; otherwise in the order given.

    Raises: InvalidInput when two share an address, or when some need each other in a circle.
    """
    by_key: dict[Key, Resource] = {}
    problems = []
    for resource in resources:
        if resource.key in by_key:
            problems.append(Problem(str(resource.key), "declared twice: give one of them another name"))
        by_key[resource.key] = resource
    if problems:
        raise InvalidInput(problems, what="resources")
    try:
        return tuple(by_key[key] for key in TopologicalSorter(_edges(by_key)).static_order())
    except CycleError as error:
        circle = " → ".join(str(key) for key in error.args[1])
        raise InvalidInput([Problem(circle, "these need each other in a circle")], what="resources") from error


def _edges(by_key: Mapping[Key, Resource]) -> dict[Key, list[Key]]:
    return {
        key: sorted(need for need in needs(resource) if need in by_key and need != key)
        for key, resource in by_key.items()
    }
