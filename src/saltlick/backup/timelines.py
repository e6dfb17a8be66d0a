"""Timelines of PostgreSQL: which of them a backup is of, and which one served at a moment.

Each promotion and each restore begins a timeline. Two that were begun apart may have the same number, so one is known by its
number together with the places at which each of its ancestors was left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

Timeline = tuple[str, tuple[tuple[int, str], ...], int]
"""The cluster's system identifier, its ancestors (number, LSN that it was left at), its number."""
Lineage = tuple[Timeline, ...]


class _Backup(Protocol):
    @property
    def lineage(self) -> Lineage: ...

    @property
    def born(self) -> datetime | None: ...

    @property
    def left(self) -> tuple[datetime | None, ...]: ...

    @property
    def ended(self) -> datetime: ...


def lineage(postgresql: Mapping[str, Any]) -> Lineage:
    """From the part `postgresql` of a manifest, oldest first; empty where a manifest of before does not say it."""
    if "ancestors" not in postgresql:
        return ()
    system, ancestors = (
        str(postgresql["system"]),
        tuple((int(number), str(left)) for number, left in postgresql["ancestors"]),
    )
    numbers = (*(number for number, _ in ancestors), int(postgresql["timeline"]))
    return tuple((system, ancestors[:place], number) for place, number in enumerate(numbers))


@dataclass(frozen=True, slots=True)
class Mainline:
    """The timelines that served, each with the moment since when; the first one since ever."""

    since: tuple[tuple[datetime | None, Timeline], ...]
    began: Mapping[Timeline, datetime]
    left: Mapping[Timeline, datetime]
    """For a timeline that a restore to a moment began: where it left the one before, which had served longer than that."""

    @classmethod
    def of(cls, backups: Sequence[_Backup]) -> Mainline:
        """From the backups of a job, in the order in which they were taken.

        A timeline that is new takes the place of the one before, from the moment at which it began. Where a backup is of an older
        one again, that one had lived on, and what had been taken for its successor had not.
        """
        began, served = _began(backups), list[tuple[datetime | None, Timeline]]()
        for backup in backups:
            known = [timeline for _, timeline in served]
            if not backup.lineage:
                continue
            if backup.lineage[-1] in known:
                del served[known.index(backup.lineage[-1]) + 1 :]
                continue
            for timeline in backup.lineage:
                if timeline not in known:
                    served.append((began[timeline] if served else None, timeline))
        return cls(tuple(served), began, _left(backups))

    def served(self, lineage: Lineage, moment: datetime) -> bool:
        """Whether what a backup of this lineage has of that moment is what served then."""
        if not lineage or not self.since:
            return True
        serving = [timeline for since, timeline in self.since if since is None or since <= moment]
        own = [timeline for timeline in lineage if timeline not in self.began or self.began[timeline] <= moment]
        own = own or [lineage[0]]
        followed = lineage[len(own) : len(own) + 1]
        too_late = any(timeline in self.left and self.left[timeline] <= moment for timeline in followed)
        return own[-1] == serving[-1] and not too_late


def _left(backups: Iterable[_Backup]) -> Mapping[Timeline, datetime]:
    """Where each timeline left the one before, if it did before that one's end."""
    return {
        timeline: moment
        for backup in backups
        for timeline, moment in zip(backup.lineage[1:], backup.left, strict=False)
        if moment is not None
    }


def _began(backups: Iterable[_Backup]) -> Mapping[Timeline, datetime]:
    """When each timeline began, at the latest: what goes on from it began after it."""
    began: dict[Timeline, datetime] = {}
    for backup in backups:
        for timeline in backup.lineage:
            sight = backup.born if backup.born and timeline[1] else backup.ended  # the first of a cluster has no birth
            began[timeline] = min(sight, began.get(timeline, sight))
    return began
