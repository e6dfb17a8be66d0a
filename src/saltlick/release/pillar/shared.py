"""Whether the names make sense that all revisions share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from saltlick.environment.pillar.checks.findings import PillarFinding, at
from saltlick.release.pillar.model import Recipe, StrategyKind

RESERVED = frozenset({"REVISION", "REVISION_TIME", ".saltlick.json", ".saltlick-bridged"})
"""What Saltlick writes into a release's folder."""


def shared_names(recipe: Recipe) -> Iterator[PillarFinding]:
    """Names that Saltlick needs itself, and names that lie in each other or in a folder that is bridged."""
    names = recipe.source.shared
    if names and recipe.strategy.kind is StrategyKind.IN_PLACE:
        yield at(
            "source", "shared", message="only `prepared` releases have folders of their own; `source` stays as it is"
        )
    for number, name in enumerate(names):
        if PurePosixPath(name).parts[0] in RESERVED:
            yield at("source", "shared", number, message=f"{name} is what Saltlick writes into each release")
        others = [("shared", other) for other in names[:number]] + [("bridge", other) for other in recipe.source.bridge]
        for key, other in others:
            if _overlap(name, other):
                yield at("source", "shared", number, message=f"{name} and {other} of source.{key} lie in each other")


def _overlap(one: str, other: str) -> bool:
    a, b = PurePosixPath(one), PurePosixPath(other)
    return a.is_relative_to(b) or b.is_relative_to(a)
