"""The findings of a check, and the checks that several sections share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from saltlick.schema.problems import Location, did_you_mean


@dataclass(frozen=True, slots=True)
class PillarFinding:
    """Something wrong at a location inside `environment`.

    `lacks` are locations whose absence it may come from: checks also run on what is left of a pillar of which parts could
    not be read, and what such a part may be the cause of is no news.
    """

    location: Location
    message: str
    lacks: tuple[Location, ...] = ()


def at(*location: str | int, message: str, lacks: Sequence[Location] = ()) -> PillarFinding:
    """A finding at `environment.<location>`."""
    return PillarFinding(location, message, tuple(lacks))


def unknown(
    names: Sequence[str], known: Iterable[str], what: str, where: Location, *, section: str
) -> Iterator[PillarFinding]:
    """A finding for each of `names` that the section does not have."""
    known = tuple(known)
    for number, name in enumerate(names):
        if name not in known:
            place = (*where, number) if len(names) > 1 else where
            message = f"there is no {what} {name}{did_you_mean(name, known)}"
            yield at(*place, lacks=[(section, name)], message=message)


def repeated(values: Sequence[object], where: Location) -> Iterator[PillarFinding]:
    """A finding for each value that occurs earlier in the list."""
    for number, value in enumerate(values):
        if value in values[:number]:
            yield at(*where, number, message=f"{value} is here twice")


def counted(count: int, noun: str) -> str:
    """`1 server`, `3 addresses`."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{'' if count == 1 else plural}"
