"""A release as a job: its lock, its signals, its events, and whether the lock stays when the release is half done."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saltlick.commands.job import environment_locks, running_job
from saltlick.commands.release.context import ReleaseTarget, open_journal, release_context, release_target
from saltlick.commands.release.notifier import ReleaseNotifier
from saltlick.commands.release.result import NOTHING_TOUCHED, release_result
from saltlick.commands.release.webhook import WebhookNotifier
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Locked
from saltlick.jobs.holder import Mode
from saltlick.jobs.interrupts import Interrupted
from saltlick.jobs.request import JobRequest
from saltlick.jobs.signals import Signals
from saltlick.release.journal.record import ReleaseRecord, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from saltlick.jobs.request import Caller
    from saltlick.release.context import ReleaseContext, ReleaseRequest
    from saltlick.release.pillar import Recipe
    from saltlick.release.pillar.model import Webhook


@dataclass(frozen=True, kw_only=True)
class ReleaseJob:
    """What is done under the lock: a release, a rollback, or (`continues`) a release that is half done."""

    environment: str
    recipe: Recipe
    action: str
    reason: str
    target: ReleaseTarget | None = None
    continues: ReleaseRecord | None = None

    @classmethod
    def new(cls, target: ReleaseTarget, request: ReleaseRequest) -> ReleaseJob:
        """A release that begins."""
        action = "rollback" if request.rollback else "release"
        what = (
            f"rollback to {request.rev or 'the last good revision'}"
            if request.rollback
            else f"release of {request.rev}"
        )
        reason = f"{what} of {target.recipe.application}" + (f": {request.message}" if request.message else "")
        return cls(environment=request.environment, recipe=target.recipe, action=action, reason=reason, target=target)

    def request(self, caller: Caller, lock_wait_s: float) -> JobRequest:
        """The lock that it needs. The job of a half-done release left its lock, which is taken over."""
        return JobRequest(
            environments=(self.environment,),
            feature="release",
            action=self.action,
            subject=self.recipe.application,
            reason=self.reason,
            caller=caller,
            lock_wait_s=lock_wait_s,
            succeeds=self.continues.job if self.continues else "",
        )


def run_release(
    opts: Mapping[str, Any],
    job: ReleaseJob,
    request: JobRequest,
    rollout: Callable[[ReleaseContext], ReleaseRecord],
    *,
    open_context: Callable[..., AbstractContextManager[ReleaseContext]] = release_context,
) -> CommandResult:
    """Run a rollout under the lock. The journal decides whether the lock stays afterwards."""
    signals = Signals()
    declared = job.target.environment if job.target else None
    try:
        with (
            signals.handled(),
            running_job(
                opts,
                request,
                explain=lambda refused: _explained(opts, job.environment, refused),
                keep=lambda: _half_done(opts, job.environment, request.job_id),
            ) as running,
        ):
            progress = running.progress
            notify = ReleaseNotifier(opts, progress, WebhookNotifier(opts, _webhook(opts, job), progress.line))
            with open_context(
                opts,
                job.environment,
                job.recipe,
                notify=notify,
                interrupts=signals.interrupts,
                environment=declared,
            ) as context:
                with signals.abortable():
                    record = rollout(context)
                record = context.journal.read(record.id) or record
            running.ended(record.result.value, record.reason)
            return release_result(opts, record)
    except Interrupted as stopped:
        return CommandResult({"error": f"{stopped}: nothing was touched"}, retcode=NOTHING_TOUCHED)


def unfinished_release(opts: Mapping[str, Any], environment: str) -> ReleaseRecord | None:
    """The release that is under way, was when its process died, or is stuck."""
    with open_journal(opts) as journal:
        latest = journal.unfinished(environment) or journal.latest(environment)
    return latest if latest and latest.result in {Result.RUNNING, Result.STUCK} else None


def next_commands(release: ReleaseRecord) -> str:
    """How to go on with a release that is half done."""
    name = release.environment
    return (
        f"To go on with {release.id}: salt-run release.resume {name}; to take it back: salt-run release.rollback {name}"
    )


def while_it_runs(release: ReleaseRecord) -> str:
    """What can be done about a release that is at work."""
    name = release.environment
    return f"To look on: salt-run release.watch {name}; to take {release.id} back: salt-run release.abort {name}"


def _explained(opts: Mapping[str, Any], environment: str, refused: Locked) -> Locked:
    """A refusal with what can be done about the release that has the lock: one that runs is watched or aborted."""
    unfinished = unfinished_release(opts, environment)
    locks = environment_locks(opts, "")
    holder = locks.read(environment)
    if unfinished is None or holder is None or holder.job != unfinished.job:
        return refused
    at_work = holder.mode is not Mode.MANUAL and not locks.stale(holder)
    return Locked(f"{refused}. {while_it_runs(unfinished) if at_work else next_commands(unfinished)}")


def _half_done(opts: Mapping[str, Any], environment: str, job_id: str) -> str:
    """Why the lock stays, empty where this job's release is over."""
    unfinished = unfinished_release(opts, environment)
    if unfinished is None or unfinished.job != job_id:
        return ""
    return f"{unfinished.id} is half done. {next_commands(unfinished)}"


def _webhook(opts: Mapping[str, Any], job: ReleaseJob) -> Webhook | None:
    """The journal has no secret address: for a release that is continued, the pillar is read again."""
    webhook = job.recipe.webhook
    if webhook is None or webhook.kept:
        return webhook
    with contextlib.suppress(InvalidInput):
        return release_target(opts, job.environment).recipe.webhook
    return None
