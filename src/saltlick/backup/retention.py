"""Which backups stay. Pure: what is in the store and what the pillar wants in, ids out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from saltlick.backup.catalogue import Backup, Catalogue
from saltlick.backup.history import Attempt, BackupAttempt
from saltlick.backup.pillar import BackupJobSpec, RetentionSpec
from saltlick.errors import NotReady

PERIODS: tuple[tuple[str, Callable[[datetime], object]], ...] = (
    ("hourly", lambda at: (at.date(), at.hour)),
    ("daily", lambda at: at.date()),
    ("weekly", lambda at: at.isocalendar()[:2]),
    ("monthly", lambda at: (at.year, at.month)),
)


@dataclass(frozen=True, slots=True)
class Window:
    """The time within which every moment stays restorable, in seconds."""

    length_s: float = 0
    step_s: float = 0
    """More than that between two backups counts as that much: so no step of a clock takes a backup out of the window."""

    @classmethod
    def of(cls, job: BackupJobSpec) -> Window:
        """As the pillar has it."""
        return cls(job.window_s, job.max_age_s)


def unwanted(
    catalogue: Catalogue,
    keep: RetentionSpec,
    bad: Collection[str] = (),
    *,
    window: Window | None = None,
    proved: Collection[str] = (),
) -> tuple[str, ...]:
    """Ids to delete, the newest first, so that whenever it is interrupted no orphan is left.

    What stays is, each with what it builds on: the newest backup of each of the last so many periods, of every server cluster and
    timeline; all that a moment in the window needs; the last good one; and the last that was `proved`, by a verification or a
    restore. As long as the newest full backup is not proved, what there was before it stays. `bad` are ids that failed their
    verification: they are no backup of a period and no base of the window.
    """
    sound = catalogue.without(bad)
    good = [backup for backup in sound.backups if sound.whole(backup)]
    if not good:
        return ()  # nothing is deleted on the way to having nothing at all
    wanted = [backup for name, period in PERIODS for backup in _newest_of(good, getattr(keep, name), period)]
    wanted += [good[-1], *_proved(sound, good, proved)]
    stays = {link.id for backup in wanted for link in sound.chain(backup)}
    stays |= _within(catalogue, sound, good, window or Window())
    return tuple(backup.id for backup in reversed(catalogue.backups) if backup.id not in stays)


def held(catalogue: Catalogue, new: Backup, job: BackupJobSpec, past: Sequence[BackupAttempt]) -> str:
    """Why nothing is deleted after a run, or nothing: what is different from the run before may be wrong, and then the former
    backups are what there is. `past` is what was tried before it, newest first."""
    last = next((entry for entry in past if entry.what is Attempt.TAKE), None)
    before = next((backup for backup in reversed(catalogue.backups) if backup.id != new.id), None)
    if last is not None and not last.ok:
        return "the run before this one did not end well"
    if before is None:
        return ""
    if before.server != new.server:
        return f"it is from {new.server}, and {before.id} from {before.server}"
    if before.lineage and before.lineage[-1] != (new.lineage or before.lineage)[-1]:
        return f"it is of another timeline or another cluster than {before.id}"
    if (percent := new.less_than(before)) > job.shrink_percent:
        return f"it is of {percent:.0f} % less data than {before.id}"
    return ""


def proved_ids(past: Sequence[BackupAttempt]) -> set[str]:
    """Backups that a verification, a drill or a restore ended well with."""
    return {entry.backup for entry in past if entry.ok and entry.what is not Attempt.TAKE}


def _newest_of(backups: Iterable[Backup], count: int, period: Callable[[datetime], object]) -> tuple[Backup, ...]:
    """The newest of each of the last so many periods; of each timeline, where a period has several."""
    newest = {(period(backup.began), backup.lineage[-1:]): backup for backup in sorted(backups, key=_begun)}
    last = sorted(
        {period(backup.began): _begun(backup) for backup in newest.values()}.items(), key=lambda item: item[1]
    )
    periods = {at for at, _ in last[-count:]} if count else set()
    return tuple(backup for (at, _), backup in newest.items() if at in periods)


def _begun(backup: Backup) -> datetime:
    return backup.began


def _proved(sound: Catalogue, good: Sequence[Backup], proved: Collection[str]) -> tuple[Backup, ...]:
    """The newest that was proved; and the newest before the last full backup, until that is proved."""
    newest = tuple(backup for backup in good if backup.id in proved)[-1:]
    base = sound.chain(good[-1])[0].id
    if any(base == sound.chain(backup)[0].id for backup in newest):
        return newest
    return (*newest, *tuple(backup for backup in good if sound.chain(backup)[0].id != base)[-1:])


def _within(catalogue: Catalogue, sound: Catalogue, good: Sequence[Backup], window: Window) -> set[str]:
    """All from the full backup on that the last backup before the window needs, damaged ones as well."""
    if not window.length_s:
        return set()
    within = good[_before(good, window) :]
    bases = [sound.chain(within[0])[0]]
    for moment in _edges(within):
        try:
            bases.append(sound.until(moment)[0])
        except NotReady:  # as for the first backup of all, which ended after what it reaches to
            continue
    first = min(backup.order for backup in bases)
    return {backup.id for backup in catalogue.backups if backup.order >= first}


def _edges(within: Sequence[Backup]) -> Iterator[datetime]:
    """Moments of which each may need another chain than those before it: the first one, those right before a full backup is done
    and those around a change of timeline, for what a restore began goes on from a backup of long before it."""
    yield within[0].reaches
    for before, backup in pairwise(within):
        if not backup.previous:
            yield backup.ended - timedelta(microseconds=1)
        if backup.lineage != before.lineage:
            yield before.reaches
            yield backup.reaches


def _before(good: Sequence[Backup], window: Window) -> int:
    """The place of the last backup before the window, or 0. The window is measured along the backups, not by a clock."""
    lasted, place = 0.0, len(good) - 1
    while place and lasted < window.length_s:
        step_s = (good[place].reaches - good[place - 1].reaches).total_seconds()
        lasted += min(max(step_s, 0.0), window.step_s)
        place -= 1
    return place
