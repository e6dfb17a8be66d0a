"""Which backups stay. Pure: what is in the store and the pillar's counts in, ids out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from saltlick.backup.catalogue import Backup, Catalogue
from saltlick.backup.pillar import RetentionSpec

PERIODS: tuple[tuple[str, Callable[[datetime], object]], ...] = (
    ("hourly", lambda at: (at.date(), at.hour)),
    ("daily", lambda at: at.date()),
    ("weekly", lambda at: at.isocalendar()[:2]),
    ("monthly", lambda at: (at.year, at.month)),
)


def unwanted(catalogue: Catalogue, keep: RetentionSpec, bad: Collection[str] = ()) -> tuple[str, ...]:
    """Ids to delete, the newest link of a chain first, so that whenever it is interrupted no orphan is left.

    The newest backup of each of the last so many periods stays, and what it builds on. The last good one always stays, whatever
    the counts say; `bad` are ids that failed their verification, which are never counted as the backup of a period.
    """
    good = [backup for backup in catalogue.backups if catalogue.whole(backup) and not _tainted(catalogue, backup, bad)]
    if not good:
        return ()  # nothing is deleted on the way to having nothing at all
    wanted = {backup.id for name, period in PERIODS for backup in _newest_of(good, getattr(keep, name), period)}
    wanted.add(max(good, key=lambda backup: (backup.reaches, backup.ended)).id)
    stays = {link.id for backup in good if backup.id in wanted for link in catalogue.chain(backup)}
    return tuple(backup.id for backup in reversed(catalogue.backups) if backup.id not in stays)


def _newest_of(backups: Iterable[Backup], count: int, period: Callable[[datetime], object]) -> tuple[Backup, ...]:
    newest = {period(backup.began): backup for backup in sorted(backups, key=lambda backup: backup.began)}
    return tuple(sorted(newest.values(), key=lambda backup: backup.began, reverse=True)[:count])


def _tainted(catalogue: Catalogue, backup: Backup, bad: Collection[str]) -> bool:
    return any(link.id in bad for link in catalogue.chain(backup))
