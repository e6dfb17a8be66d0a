"""What the next backup builds on. Pure: the catalogue decides, not what a server remembers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from saltlick.backup.catalogue import Backup, Catalogue
from saltlick.backup.pillar import BackupJobSpec
from saltlick.backup.timelines import Mainline

CLOCKS = timedelta(minutes=2)
"""So far apart may the clocks of the servers be."""
FOLLOWED = 20
"""So many backups before a full one are tried: after a failover, the last of them may have what the new primary never had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the next backup builds on: the id of the backup before it (`previous`). Where a full one came in between, the ids of
    those before it (`follows`), of which the first counts whose WAL is there; `servers` were not asked for that WAL yet. The last
    full backup and those after it are from the servers `took`, the last one first: they received the WAL since. `others` are
    backups of other timelines, newest first: where one of those had lived on, the next backup builds on them and not on
    `previous`. `why` it becomes a full one though less was wanted."""

    mode: str
    previous: str = ""
    follows: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    took: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    why: str = ""

    def preferred(self, server: str) -> tuple[str, ...]:
        """The servers to take it from rather than from this one, the best one first. A standby that was made anew has no WAL from
        before, and its first increment would become a full backup: what is between would be on another server only."""
        return (*self.servers, *(self.took if server not in self.took else ()))


def ground(
    job: BackupJobSpec, servers: Sequence[str], mode: str, catalogue: Catalogue, bad: Collection[str], now: datetime
) -> Ground:
    """What the next backup builds on: never on what is damaged, cannot be verified, or is not there."""
    if mode == "full" or not catalogue.backups:
        return Ground(mode=mode)
    newest = catalogue.backups[-1]
    if why := _unsound(catalogue, newest, bad, now):
        return Ground(mode="full", why=why)
    sound = catalogue.without(bad).backups
    if not job.window_s:
        return Ground(mode=mode, previous=newest.id)
    since, before = sound[_last_full(sound) :], _uncrossed(sound)
    others = _others(catalogue.without(bad))
    took = tuple(dict.fromkeys(backup.server for backup in reversed(since) if backup.server in servers))
    if not before:
        return Ground(mode=mode, previous=newest.id, took=took, others=others)
    unasked = _unasked(servers, before, since)
    follows = tuple(backup.id for backup in before)
    return Ground(mode=mode, previous=newest.id, follows=follows, servers=unasked, took=took, others=others)


def _others(sound: Catalogue) -> tuple[str, ...]:
    """The backups of timelines that the newest one is not of, newest first."""
    own = sound.backups[-1].lineage[-1:]
    others = [
        backup for backup in sound.backups if backup.lineage and backup.lineage[-1:] != own and sound.whole(backup)
    ]
    return tuple(backup.id for backup in reversed(others[-FOLLOWED:]))


def _unasked(servers: Sequence[str], before: Sequence[Backup], since: Sequence[Backup]) -> tuple[str, ...]:
    """The servers that may have the WAL from before the last full backup, the likeliest first: the one that sent the last backup
    before it; but last one where a full backup was taken because an increment was not possible."""
    asked = {backup.server for backup in since[1:]}
    unasked = [
        server for server in dict.fromkeys((before[0].server, *servers)) if server in servers and server not in asked
    ]
    return tuple(sorted(unasked, key=lambda server: bool(since[0].why) and server == since[0].server))


def _unsound(catalogue: Catalogue, newest: Backup, bad: Collection[str], now: datetime) -> str:
    if not catalogue.whole(newest):
        return f"{newest.id} builds on what is not there any more"
    if damaged := [link.id for link in catalogue.chain(newest) if link.id in bad]:
        return f"{damaged[0]} failed its verification"
    if newer := [backup for backup in catalogue.unreadable if backup > newest.id]:
        return f"the manifest of {newer[-1]} cannot be read"
    if newest.reaches > now + CLOCKS:
        return (
            f"{newest.id} reaches to {newest.reaches:%Y-%m-%d %H:%M:%S} UTC, which is yet to come: a clock was set back"
        )
    return ""


def _uncrossed(backups: Sequence[Backup]) -> tuple[Backup, ...]:
    """The backups before the last full one, if no increment after it goes on from what was there before it: the moments from the
    last of them to the end of the full backup are in no chain then. The increments come first, newest first."""
    last = _last_full(backups)
    before = backups[:last]
    known = {backup.id for backup in before}
    if any(backup.follows in known for backup in backups[last + 1 :]):
        return ()
    served = Mainline.of(backups).served
    before = [backup for backup in before if served(backup.lineage, backup.reaches)]
    increments = [backup for backup in before if backup.previous][-FOLLOWED:]
    after = [backup for backup in before if not increments or backup.order > increments[-1].order][:FOLLOWED]
    return (*reversed(increments), *after)


def _last_full(backups: Sequence[Backup]) -> int:
    return max((place for place, backup in enumerate(backups) if not backup.previous), default=0)
