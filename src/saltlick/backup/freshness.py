"""Whether backups are what the pillar promises: red, with every reason, or green. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from saltlick.backup.catalogue import Backup, Catalogue
from saltlick.backup.history import Attempt, BackupAttempt
from saltlick.backup.pillar import BackupJobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessResult:
    """How one job stands: `reasons` to worry, none where all is well."""

    job: str
    newest: Backup | None
    age_s: float | None
    """Of the newest good one: how far back everything is safe."""
    reasons: tuple[str, ...]

    @property
    def fresh(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons


def judge(
    name: str,
    job: BackupJobSpec,
    catalogue: Catalogue | str,
    past: Sequence[BackupAttempt],
    now: datetime,
    contest: str = "",
) -> FreshnessResult:
    """The verdict on one job, from its store (or why that could not be seen), what was tried, newest first, and
    whether more than one server is the primary (`contest`, a sentence)."""
    if isinstance(catalogue, str):
        return FreshnessResult(job=name, newest=None, age_s=None, reasons=(*filter(None, [contest]), catalogue))
    bad = bad_ids(past)
    sound = [
        backup
        for backup in catalogue.backups
        if catalogue.whole(backup) and not {link.id for link in catalogue.chain(backup)} & bad
    ]
    newest = sound[-1] if sound else None
    age_s = (now - newest.reaches).total_seconds() if newest else None
    reasons = (
        *filter(None, [contest]),
        *_old(job, newest, age_s),
        *_failed(past, newest),
        *_shrunk(job, catalogue, newest),
        *_damaged(catalogue, past),
        *_drilled(job, past, now),
    )
    return FreshnessResult(job=name, newest=newest, age_s=age_s, reasons=reasons)


def bad_ids(past: Sequence[BackupAttempt]) -> set[str]:
    """Backups whose last verification found something."""
    last: dict[str, bool] = {}
    for entry in past:  # newest first
        if entry.what is Attempt.VERIFY and entry.ended is not None:
            last.setdefault(entry.backup, entry.ok)
    return {backup for backup, ok in last.items() if not ok}


def _old(job: BackupJobSpec, newest: Backup | None, age_s: float | None) -> Iterator[str]:
    if newest is None or age_s is None:
        yield "there is no good backup"
    elif age_s > job.max_age_s:
        reaches = f"{newest.reaches:%Y-%m-%d %H:%M:%S} UTC"
        yield f"the newest good one reaches to {reaches}: {span(age_s)} ago, and {span(job.max_age_s)} are allowed"


def _failed(past: Sequence[BackupAttempt], newest: Backup | None) -> Iterator[str]:
    """The last run, if it did not end well and nothing good came after it."""
    last = next((entry for entry in past if entry.what is Attempt.TAKE), None)
    if last is None or last.ok or (newest and newest.began >= last.began):
        return
    if last.ended is None:
        if not last.alive:
            yield f"the run of {last.began:%Y-%m-%d %H:%M:%S} UTC was killed"
    else:
        yield f"the run of {last.began:%Y-%m-%d %H:%M:%S} UTC failed: {last.error}"


def _shrunk(job: BackupJobSpec, catalogue: Catalogue, newest: Backup | None) -> Iterator[str]:
    before = [backup for backup in catalogue.backups if newest and backup.order < newest.order]
    if newest and before and (percent := newest.less_than(before[-1])) > job.shrink_percent:
        yield f"{newest.id} is of {percent:.0f} % less data than {before[-1].id}: look whether something is missing"


def _damaged(catalogue: Catalogue, past: Sequence[BackupAttempt]) -> Iterator[str]:
    there = {backup.id for backup in catalogue.backups}
    for backup in sorted(bad_ids(past) & there):
        error = next(entry.error for entry in past if entry.what is Attempt.VERIFY and entry.backup == backup)
        yield f"{backup} is damaged: {error}"
    for backup in catalogue.unreadable:
        yield f"{backup} has a manifest that cannot be read"
    for listed in catalogue.backups:
        if not catalogue.whole(listed):
            yield f"{listed.id} builds on {listed.previous}, which is not there any more"
    held = {entry.backup: entry for entry in past if entry.what is Attempt.TAKE and entry.ok and not entry.deleted}
    for backup in sorted(held.keys() - there - set(catalogue.unreadable)):
        yield f"{backup} was made at {held[backup].began:%Y-%m-%d %H:%M:%S} UTC, and is not in the store any more"


def _drilled(job: BackupJobSpec, past: Sequence[BackupAttempt], now: datetime) -> Iterator[str]:
    if job.drill is None or job.drill.at is None:
        return
    drills = [entry for entry in past if entry.what is Attempt.DRILL and entry.ended is not None]
    if drills and not drills[0].ok:
        yield f"the drill of {drills[0].began:%Y-%m-%d %H:%M:%S} UTC failed: {drills[0].error}"
    good = next((entry for entry in drills if entry.ok), None)
    age_s = (now - good.began).total_seconds() if good else 0.0
    if age_s > job.drill.max_age_s:
        yield f"the last good drill was {span(age_s)} ago, and {span(job.drill.max_age_s)} are allowed"


def span(seconds: float) -> str:
    """A duration for people: `26 h`, `90 s`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
