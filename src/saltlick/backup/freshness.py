"""Whether backups are what the pillar promises: red, with every reason, or green. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from saltlick.backup.catalogue import Backup, Catalogue
from saltlick.backup.history import Attempt, BackupAttempt
from saltlick.backup.pillar import BackupJobSpec

RUN, FULL, LIST, DRILL, PRIMARY = "run", "full", "list", "drill", "primary"
"""What helps against a reason: a backup, one that builds on nothing, a look, a drill, a backup of the primary that lives on."""
COMMANDS = {
    RUN: "salt-run backup.run {environment} job={job}",
    FULL: "salt-run backup.run {environment} job={job} mode=full",
    LIST: "salt-run backup.list {environment} job={job}",
    DRILL: "salt-run backup.drill {environment} job={job}",
    PRIMARY: "salt-run backup.run {environment} job={job} server={server} primary={server}",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason to worry, and what helps against it: a key of `COMMANDS`. `servers` are those one of which it is done on."""

    text: str
    helps: str
    servers: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessResult:
    """How one job stands: `worries`, none where all is well."""

    environment: str
    job: str
    newest: Backup | None
    age_s: float | None
    """Of the newest good one: how far back everything is safe. None where there is none, and where the store cannot be seen."""
    worries: tuple[Reason, ...]
    unseen: bool = False
    """Whether the store could not be seen: then it is not known whether anything is wrong with what is in it."""
    unknown: tuple[str, ...] = ()
    """What could not be seen, each completing `it is not known …`."""

    @property
    def fresh(self) -> bool:
        """Whether nothing is wrong."""
        return not self.worries

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons to worry, in words."""
        return tuple(worry.text for worry in self.worries)

    @property
    def next_commands(self) -> tuple[str, ...]:
        """What to type against the reasons, the most pressing first; where servers are to choose from, a command for each."""
        keys = {worry.helps: worry.servers for worry in self.worries}
        instead = {RUN: {FULL, PRIMARY}, FULL: {PRIMARY}}  # with two primaries a run is refused until one is named
        needed = [key for key in keys if not instead.get(key, set()) & keys.keys()]
        return tuple(
            COMMANDS[key].format(environment=self.environment, job=self.job, server=server)
            for key in needed
            for server in keys[key]
        )


def judge(
    environment: str,
    name: str,
    job: BackupJobSpec,
    catalogue: Catalogue | str,
    past: Sequence[BackupAttempt],
    now: datetime,
    contest: Reason | None = None,
) -> FreshnessResult:
    """The verdict on one job, from its store (or why that could not be seen), what was tried, newest first, and whether more
    than one server is the primary (`contest`).

    `past` has to be what was known before the store was looked at: see `settled_past`.
    """
    contested = (contest,) if contest else ()
    if isinstance(catalogue, str):
        return _unseen(environment, name, job, catalogue, past, now, contested)
    bad = bad_ids(past)
    sound = [
        backup
        for backup in catalogue.backups
        if catalogue.whole(backup) and not {link.id for link in catalogue.chain(backup)} & bad
    ]
    newest = sound[-1] if sound else None
    age_s = (now - newest.reaches).total_seconds() if newest else None
    worries = (
        *contested,
        *_old(job, newest, age_s),
        *_failed(past, newest),
        *_shrunk(job, catalogue, newest),
        *_damaged(catalogue, past),
        *_drilled(job, past, now),
    )
    return FreshnessResult(environment=environment, job=name, newest=newest, age_s=age_s, worries=worries)


def settled_past(before: Sequence[BackupAttempt], after: Sequence[BackupAttempt]) -> tuple[BackupAttempt, ...]:
    """What may be held against a store that was looked at between two looks at the history.

    A run that ended after the first look may be in the store or not, so only what had ended before counts. A backup that was to
    be deleted before the second look may be gone already, so it is not missed.
    """
    deleted = {attempt.number for attempt in after if attempt.deleted}
    return tuple(replace(attempt, deleted=attempt.deleted or attempt.number in deleted) for attempt in before)


def _unseen(
    environment: str,
    name: str,
    job: BackupJobSpec,
    error: str,
    past: Sequence[BackupAttempt],
    now: datetime,
    contested: tuple[Reason, ...],
) -> FreshnessResult:
    """What the history knows stays known: it says nothing of whether the backups are still there."""
    good = next((attempt for attempt in past if attempt.what is Attempt.TAKE and attempt.ok), None)
    last = (
        f"the last run that ended well began at {good.began:%Y-%m-%d %H:%M:%S} UTC" if good else "no run ended well yet"
    )
    worries = (
        *contested,
        Reason(f"the store cannot be seen: {error}", LIST),
        *_failed(past, None),
        *_drilled(job, past, now),
    )
    unknown = (f"whether the backups are there and whole ({last})", "how far back everything is safe")
    return FreshnessResult(
        environment=environment, job=name, newest=None, age_s=None, worries=worries, unseen=True, unknown=unknown
    )


def bad_ids(past: Sequence[BackupAttempt]) -> set[str]:
    """Backups whose last verification found something."""
    last: dict[str, bool] = {}
    for entry in past:  # newest first
        if entry.what is Attempt.VERIFY and entry.ended is not None:
            last.setdefault(entry.backup, entry.ok)
    return {backup for backup, ok in last.items() if not ok}


def _old(job: BackupJobSpec, newest: Backup | None, age_s: float | None) -> Iterator[Reason]:
    if newest is None or age_s is None:
        yield Reason("there is no good backup", RUN)
    elif age_s > job.max_age_s:
        reaches = f"{newest.reaches:%Y-%m-%d %H:%M:%S} UTC"
        yield Reason(
            f"the newest good one reaches to {reaches}: {span(age_s)} ago, and {span(job.max_age_s)} are allowed", RUN
        )


def _failed(past: Sequence[BackupAttempt], newest: Backup | None) -> Iterator[Reason]:
    """The last run, if it did not end well and nothing good came after it."""
    last = next((entry for entry in past if entry.what is Attempt.TAKE), None)
    if last is None or last.ok or (newest and newest.began >= last.began):
        return
    if last.ended is None:
        if not last.alive:
            yield Reason(f"the run of {last.began:%Y-%m-%d %H:%M:%S} UTC was killed", RUN)
    else:
        yield Reason(f"the run of {last.began:%Y-%m-%d %H:%M:%S} UTC failed: {last.error}", RUN)


def _shrunk(job: BackupJobSpec, catalogue: Catalogue, newest: Backup | None) -> Iterator[Reason]:
    before = [backup for backup in catalogue.backups if newest and backup.order < newest.order]
    if newest and before and (percent := newest.less_than(before[-1])) > job.shrink_percent:
        what = f"{newest.id} is of {percent:.0f} % less data than {before[-1].id}: look whether something is missing"
        yield Reason(what, LIST)


def _damaged(catalogue: Catalogue, past: Sequence[BackupAttempt]) -> Iterator[Reason]:
    there = {backup.id for backup in catalogue.backups}
    deleted = {entry.backup for entry in past if entry.deleted}
    for backup in sorted(bad_ids(past) & there):
        error = next(entry.error for entry in past if entry.what is Attempt.VERIFY and entry.backup == backup)
        yield Reason(f"{backup} is damaged: {error}", FULL)
    for backup in catalogue.unreadable:
        if backup not in deleted:
            yield Reason(f"{backup} has a manifest that cannot be read", FULL)
    for listed in catalogue.backups:
        if not catalogue.whole(listed) and listed.id not in deleted:
            yield Reason(f"{listed.id} builds on {listed.previous}, which is not there any more", FULL)
    held = {entry.backup: entry for entry in past if entry.what is Attempt.TAKE and entry.ok and not entry.deleted}
    for backup in sorted(held.keys() - there - set(catalogue.unreadable)):
        made = f"{held[backup].began:%Y-%m-%d %H:%M:%S} UTC"
        yield Reason(f"{backup} was made at {made}, and is not in the store any more", LIST)


def _drilled(job: BackupJobSpec, past: Sequence[BackupAttempt], now: datetime) -> Iterator[Reason]:
    if job.drill is None or job.drill.at is None:
        return
    drills = [entry for entry in past if entry.what is Attempt.DRILL and entry.ended is not None]
    if drills and not drills[0].ok:
        yield Reason(f"the drill of {drills[0].began:%Y-%m-%d %H:%M:%S} UTC failed: {drills[0].error}", DRILL)
    good = next((entry for entry in drills if entry.ok), None)
    age_s = (now - good.began).total_seconds() if good else 0.0
    if age_s > job.drill.max_age_s:
        yield Reason(f"the last good drill was {span(age_s)} ago, and {span(job.drill.max_age_s)} are allowed", DRILL)


def span(seconds: float) -> str:
    """A duration for people: `26 h`, `90 s`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
