"""A PostgreSQL of two servers in numbers: timelines, what commits are stamped with, what WAL is where, what a restore gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from support.backup_samples import T0

SEGMENT = 600
"""Positions in a segment of WAL. A position is a second in which something was committed."""
KEPT = 8
LOST_AT_MOST = 30
"""Seconds that a standby may be behind when it is promoted."""


class Clock:
    """The clock of all machines, which steps now and then. `now` counts the true seconds."""

    def __init__(self) -> None:
        self.now = 0
        self.steps: list[tuple[int, int]] = [(0, 0)]

    def step(self, seconds: int) -> None:
        self.steps.append((self.now, self.steps[-1][1] + seconds))

    def shown(self, at: int | None = None) -> datetime:
        """What it shows, or showed."""
        at = self.now if at is None else at
        return T0 + timedelta(seconds=at + next(offset for since, offset in reversed(self.steps) if since <= at))

    def stretches(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Parts of a time without a step in it: (begin, end, offset)."""
        ends = [since for since, _ in self.steps[1:]] + [end]
        for (since, offset), until in zip(self.steps, ends, strict=True):
            if max(begin, since) < min(end, until):
                yield max(begin, since), min(end, until), offset

    def times(self, moment: datetime) -> list[int]:
        """The true seconds at which it showed that."""
        ends = [since for since, _ in self.steps[1:]] + [self.now + 1]
        wanted = int((moment - T0).total_seconds())
        pairs = zip(self.steps, ends, strict=True)
        return [wanted - offset for (since, offset), until in pairs if since <= wanted - offset < until]


@dataclass(eq=False)
class Line:
    """One timeline: it left its parent at a position, and from a true second on it is written to."""

    number: int
    parent: Line | None
    left: int
    began: int
    born: datetime
    stopped: datetime | None = None
    """When a restore to a moment began it: the first commit that it left out."""

    @property
    def path(self) -> list[Line]:
        return [*(self.parent.path if self.parent else []), self]

    def at(self, now: int) -> int:
        """The position at a true second."""
        return self.left + now - self.began

    @property
    def ancestors(self) -> list[list[object]]:
        return [[older.number, f"0/{newer.left:X}"] for older, newer in zip(self.path, self.path[1:], strict=False)]

    def goes_on(self, other: Line, position: int) -> bool:
        """Whether all of another one up to a position is part of this one."""
        if other not in self.path:
            return False
        later = self.path[self.path.index(other) + 1 :]
        return not later or (later[0].left // SEGMENT >= position // SEGMENT and later[0].left >= position - SEGMENT)


@dataclass
class Server:
    """One of the two: its timeline, and how far back it has what it received."""

    line: Line
    role: str
    received_from: int = 0
    stopped_at: int | None = None


@dataclass(eq=False)
class Content:
    """What a backup really has: the WAL of a timeline between two positions; a full one is a copy as of the second."""

    line: Line
    begin: int
    end: int
    damaged: bool = False


@dataclass
class Cluster:
    """Both servers, and who served when: (from, line, position then)."""

    clock: Clock
    servers: dict[str, Server] = field(default_factory=dict)
    served: list[tuple[int, Line, int]] = field(default_factory=list)
    lines: int = 1

    def __post_init__(self) -> None:
        first = Line(1, None, 0, 0, self.clock.shown())
        self.servers = {"prod-db-1": Server(first, "primary"), "prod-db-2": Server(first, "standby")}
        self.served = [(0, first, 0)]

    def branched(self, line: Line, position: int, number: int, stopped: datetime | None = None) -> Line:
        new = Line(number, line, position, self.clock.now, self.clock.shown(), stopped)
        self.served.append((self.clock.now, new, position))
        return new

    def truth(self, at: int) -> tuple[Line, int]:
        """What served at a true second."""
        since, line, position = next(entry for entry in reversed(self.served) if entry[0] <= at)
        return line, position + at - since

    def restored(self, chain: Sequence[Content], moment: datetime) -> tuple[Line, int] | None:
        """Where a recovery to a moment ends; None where PostgreSQL could not go through these."""
        base, last = chain[0], chain[-1]
        position = base.end
        for link in chain[1:]:
            if link.begin > position or not last.line.goes_on(base.line, base.end) or link.line not in last.line.path:
                return None
            position = max(position, link.end)
        return self._replayed(base, last, moment)

    def _replayed(self, base: Content, last: Content, moment: datetime) -> tuple[Line, int]:
        """Source: recovery ends before the first commit that is stamped later than its target."""
        wanted = int((moment - T0).total_seconds())
        path = last.line.path
        ends = [newer.left for newer in path[1:]] + [last.end]
        for line, end in zip(path, ends, strict=True):
            begin = max(line.left, base.end)
            true = line.began - line.left
            for since, until, offset in self.clock.stretches(begin + true, end + true):
                if until + offset > wanted:
                    return line, max(since, min(until, wanted - offset)) - true
        return last.line, last.end

    def same(self, restored: tuple[Line, int], truth: tuple[Line, int]) -> bool:
        """Whether it is what served, but for what a failover lost."""
        (line, position), (other, wanted) = restored, truth
        related = line in other.path or other in line.path
        return related and abs(position - wanted) <= LOST_AT_MOST + 5
