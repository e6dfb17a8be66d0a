"""Which servers go together: counts, percents and growing lists, zones, and a floor of servers in traffic. Pure.

The next batch is worked out when its turn comes, from what is in traffic then. The plan is the same function, told that all
goes well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from saltlick.release.context import ReleaseServer
from saltlick.release.pillar.amounts import Amount
from saltlick.release.pillar.model import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRule:
    """How a group is cut into batches."""

    total: int
    """Servers in the group: what percents are of."""
    sizes: tuple[Amount, ...] = (Amount(1),)
    """The first batch, the second, …; the last one repeats."""
    floor: Amount | None = None
    """Never fewer in traffic; None: 1 where the group has more than one server."""
    by_zone: bool = True
    first: str = ""
    """The server that goes first, with its zone."""

    @classmethod
    def of(cls, strategy: Strategy, total: int, *, first: str = "") -> BatchRule:
        """The rule of a recipe for a group of so many servers."""
        return cls(total=total, sizes=strategy.batch, floor=strategy.floor, by_zone=strategy.by_zone, first=first)

    @property
    def keep(self) -> int:
        """The floor as a number of servers."""
        if self.floor is None:
            return 1 if self.total > 1 else 0
        return self.floor.of(self.total, up=True)

    def size(self, number: int) -> int:
        """How many servers batch `number` (from 1) may have."""
        return max(1, self.sizes[min(number, len(self.sizes)) - 1].of(self.total))


def ordered(servers: Sequence[ReleaseServer], rule: BatchRule) -> tuple[ReleaseServer, ...]:
    """In the order in which they go: as declared, zone after zone, the zone of `first` before all."""
    if not rule.by_zone:
        return tuple(sorted(servers, key=lambda server: server.name != rule.first))
    zones = list(dict.fromkeys(s.zone for s in sorted(servers, key=lambda server: server.name != rule.first)))
    return tuple(sorted(servers, key=lambda server: (zones.index(server.zone), server.name != rule.first)))


def within_floor(waiting: Sequence[str], in_traffic: Collection[str], keep: int) -> tuple[str, ...]:
    """As many of `waiting`, in order, as can go out while `keep` stay in traffic. Who is out already costs nothing."""
    spare = max(0, len(in_traffic) - keep)
    chosen = []
    for name in waiting:
        if name in in_traffic:
            if not spare:
                break
            spare -= 1
        chosen.append(name)
    return tuple(chosen)


def following(
    waiting: Sequence[ReleaseServer], number: int, in_traffic: Collection[str], rule: BatchRule
) -> tuple[ReleaseServer, ...]:
    """Batch `number` from those who wait (in order); empty when the floor lets nobody out."""
    zone = waiting[0].zone if waiting else ""
    same = [server for server in waiting if server.zone == zone or not rule.by_zone][: rule.size(number)]
    names = within_floor([server.name for server in same], in_traffic, rule.keep)
    return tuple(same[: len(names)])


def planned(
    servers: Sequence[ReleaseServer], in_traffic: Collection[str], rule: BatchRule, *, first: Collection[str] = ()
) -> Iterator[tuple[ReleaseServer, ...]]:
    """All batches, if each server comes back into traffic. Ends early where the floor lets nobody out.

    Servers named `first` have batches of their own, before the others.
    """
    serving = set(in_traffic)
    number = 1
    for part in (True, False):
        waiting = ordered([server for server in servers if (server.name in first) is part], rule)
        while waiting and (batch := following(waiting, number, serving, rule)):
            yield batch
            serving |= {server.name for server in batch}
            waiting = tuple(server for server in waiting if server not in batch)
            number += 1
