"""The operator's and the monitor's question whether all backups are what the pillar promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.backup import report
from saltlick.backup.look import judged_freshness
from saltlick.backup.pillar import BACKUP_KEY
from saltlick.commands.announce import Declared, announce, announce_failure, declared_notify
from saltlick.commands.backup.commands import FAILED, BackupJobsRequest
from saltlick.commands.backup.context import backup_context, declared_backups
from saltlick.commands.context import single_environment
from saltlick.commands.job import job_progress, open_store
from saltlick.commands.result import CommandResult
from saltlick.errors import SaltlickError
from saltlick.notify.condition import Condition, Feature, Severity
from saltlick.notify.jobs import green, unseen
from saltlick.notify.records import NotifyRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from saltlick.backup.context import BackupContext
    from saltlick.backup.freshness import FreshnessResult
    from saltlick.jobs.progress import Progress

LOOK = "freshness"
"""The look itself: what turns red when nobody can see how the backups stand."""


def freshness(
    opts: Mapping[str, Any],
    request: BackupJobsRequest,
    *,
    open_context: Callable[..., AbstractContextManager[BackupContext]] = backup_context,
) -> CommandResult:
    """Whether every job is what the pillar promises. Red ones are events on the bus, and people are told."""
    name = single_environment(opts, request.name)
    with job_progress(opts, request.caller.job_id) as progress:
        try:
            notify = declared_notify(opts, [name])
            declared = declared_backups(opts, name)
            jobs = declared.chosen(request.job)
            with open_context(opts, name, progress) as context:
                results = judged_freshness(jobs, context)
        except SaltlickError as error:
            if not request.job:
                _look_failed(opts, name, str(error), progress)
            raise
        since = _announced(opts, notify, results, progress)
        red = [job for job in results if not job.fresh]
        for job in red:
            progress.step(name, f"backup/{job.job}/red", **report.verdict_data(job, since.get(job.job)))
    result: dict[str, Any] = {
        "environment": name,
        "fresh": not red,
        "jobs": {job.job: report.verdict_data(job, since.get(job.job)) for job in results},
    }
    if red:
        result["error"] = "; ".join(f"{job.job}: {reason}" for job in red for reason in job.reasons)
    return CommandResult(
        result, lambda colour: report.verdicts_text(name, results, since, colour), FAILED if red else 0
    )


def _announced(
    opts: Mapping[str, Any], notify: Declared, results: Sequence[FreshnessResult], progress: Progress
) -> dict[str, float]:
    """Tell people. Returns since when each red job is red, in seconds since the epoch."""
    (name,) = notify
    conditions = [green(name, Feature.BACKUP, LOOK), *map(_condition, results)]
    with open_store(opts) as store:
        announce(opts, store, notify, conditions, progress.line)
        return {
            remembered.condition.name: remembered.since
            for remembered in NotifyRecords(store).states(name)
            if remembered.condition.feature is Feature.BACKUP and remembered.green_at is None
        }


def _condition(result: FreshnessResult) -> Condition:
    only_unseen = result.unseen and len(result.worries) == 1
    severity = Severity.OK if result.fresh else Severity.WARNING if only_unseen else Severity.FAILURE
    return Condition(
        environment=result.environment,
        feature=Feature.BACKUP,
        name=result.job,
        severity=severity,
        known=result.reasons,
        unknown=result.unknown,
        next_commands=result.next_commands,
    )


def _look_failed(opts: Mapping[str, Any], name: str, error: str, progress: Progress) -> None:
    condition = unseen(name, Feature.BACKUP, LOOK, "the backups are there, whole and young enough", error)
    with open_store(opts) as store:
        announce_failure(opts, BACKUP_KEY, store, condition, progress.line)
