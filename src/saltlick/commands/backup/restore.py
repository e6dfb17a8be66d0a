"""The operator's commands that put backups back: restore, and drill, its rehearsal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from saltlick.backup import report, restores
from saltlick.backup.context import BackupContext, BackupJob
from saltlick.backup.pillar import BackupKind
from saltlick.backup.restores import RestoreTarget
from saltlick.backup.run import take
from saltlick.commands.arguments import Remark, Text, WaitSeconds
from saltlick.commands.backup.commands import FAILED, BackupJobsRequest
from saltlick.commands.backup.context import DeclaredBackups, backup_context, declared_backups, shared_job
from saltlick.commands.context import declared_environment
from saltlick.commands.job import running_job
from saltlick.commands.result import CommandResult
from saltlick.environment.pillar import Environment, layout
from saltlick.errors import InvalidInput, NotReady, Problem, SaltlickError
from saltlick.jobs.request import JobRequest
from saltlick.schema import wall_clock
from saltlick.schema.problems import shown

if TYPE_CHECKING:
    from saltlick.backup.catalogue import Catalogue
    from saltlick.jobs.progress import Progress


class RestoreRequest(BackupJobsRequest):
    """Which data, to which moment, where, and the operator's word that it may be overwritten."""

    to: Text = ""
    server: Text = ""
    time: Text = ""
    confirm: Remark = ""
    overwrite_production: Remark = ""
    lock_wait: WaitSeconds = 0


class DrillRequest(BackupJobsRequest):
    """The job whose restore is rehearsed; all that have a drill where it is empty."""

    lock_wait: WaitSeconds = 0


def restore(opts: Mapping[str, Any], request: RestoreRequest) -> CommandResult:
    """Restore a job's data, here or in another environment, to a moment or to all there is."""
    declared = declared_backups(opts, request.name)
    job = _single(declared.chosen(request.job))
    _require_restorable(job)
    moment = _moment(request.time)
    goal = declared_environment(opts, request.to)[0] if request.to else declared.environment
    target = _target(job, goal, declared, request)
    _require_consent(goal, request)
    name = declared.environment.name
    job_request = JobRequest(
        environments=tuple(sorted({goal.name, name})),
        feature="backup",
        action="restore",
        reason=f"restore of {job.name} of {name}",
        caller=request.caller,
        lock_wait_s=request.lock_wait,
        over_stale=True,
        subject=f"restore of {job.name} of {name}",
    )
    with running_job(opts, job_request) as running, backup_context(opts, name, running.progress) as context:
        user = request.caller.user
        _take_newest(job, target, moment, context, running.progress, user)
        restored = restores.restore(job, target, context, moment=moment, who=user)
    return CommandResult(
        {"environment": goal.name, **report.restored_data(restored)}, report.restored_text(restored, "restored")
    )


def drill(opts: Mapping[str, Any], request: DrillRequest) -> CommandResult:
    """Rehearse the restore of one job, or of all that have a drill."""
    declared = declared_backups(opts, request.name)
    name = declared.environment.name
    jobs = [job for job in declared.chosen(request.job) if job.job.drill or request.job]
    if not jobs:
        raise InvalidInput([Problem("backup.jobs", f"no job of {name} has a drill")], what=f"pillar of {name}")
    restored, failed = {}, {}
    for job in jobs:
        goal, target = _rehearsal(opts, job)
        try:
            with (
                running_job(
                    opts,
                    shared_job(goal.name, "drill", f"drill of {job.name}", request.caller, request.lock_wait),
                ) as running,
                backup_context(opts, name, running.progress) as context,
            ):
                restored[job.name] = restores.drill(job, target, context, who=request.caller.user)
        except SaltlickError as error:
            failed[job.name] = str(error)
    errors = [f"{job}: {error}" for job, error in failed.items()]
    result: dict[str, Any] = {
        "environment": name,
        "drills": {job: report.restored_data(done) for job, done in restored.items()},
    }
    if failed:
        result["error"] = "; ".join(errors)
    texts = [report.restored_text(done, f"{job}: rehearsed") for job, done in restored.items()]
    return CommandResult(result, "\n".join([*texts, *errors]), FAILED if failed else 0)


def _rehearsal(opts: Mapping[str, Any], job: BackupJob) -> tuple[Environment, RestoreTarget]:
    """Where a job's restore is rehearsed.

    Raises: InvalidInput where the pillar does not say, for an environment that is marked production, or without such servers.
    """
    where, spec = f"backup.jobs.{job.name}.drill", job.job.drill
    if spec is None:
        raise InvalidInput([Problem(where, "is not there")], what=f"pillar of {job.environment}")
    goal, _ = declared_environment(opts, spec.environment)
    if goal.production:
        message = f"{goal.name} is marked production: rehearse elsewhere"
        raise InvalidInput([Problem(f"{where}.environment", message)], what="backup.drill")
    if spec.servers not in goal.servers:
        message = f"{goal.name} has no server group {spec.servers}; there is {', '.join(goal.servers)}"
        raise InvalidInput([Problem(f"{where}.servers", message)], what="backup.drill")
    servers = tuple(layout.server_names(goal, spec.servers))
    return goal, RestoreTarget(environment=goal.name, servers=servers, store=spec.store)


def _take_newest(
    job: BackupJob,
    target: RestoreTarget,
    moment: datetime | None,
    context: BackupContext,
    progress: Progress,
    user: str,
) -> None:
    """Back up what was written since the last backup: it is overwritten, or the store does not have the moment yet. Nothing is
    deleted on that way."""
    catalogue = context.catalogue(target.server or target.servers[0], target.store, job.name)
    if moment is not None and target.environment != job.environment and _has(catalogue, moment):
        return
    try:
        take(job, "incr", context, who=user, prune=False)
    except SaltlickError as error:
        progress.line(f"{job.name}: nothing newer than what the store has can be had: {error}")


def _require_restorable(job: BackupJob) -> None:
    """Raises: InvalidInput for a master, which cannot be stopped by a command of its own."""
    if job.job.kind is BackupKind.MASTER:
        message = (
            f"a master is recovered on its own machine: salt-call backup.recover_master {job.job.store} {job.name}"
        )
        raise InvalidInput([Problem("job", message)], what="backup.restore")


def _has(catalogue: Catalogue, moment: datetime) -> bool:
    try:
        return bool(catalogue.until(moment))
    except NotReady:
        return False


def _target(job: BackupJob, goal: Environment, declared: DeclaredBackups, request: RestoreRequest) -> RestoreTarget:
    group, store = job.job.servers, job.job.store
    if goal.name != declared.environment.name:
        if job.job.drill is None or job.job.drill.environment != goal.name:
            message = f"say under `drill` which servers and store of {goal.name} it goes to"
            raise InvalidInput([Problem(f"backup.jobs.{job.name}.drill", message)], what="backup.restore")
        group, store = job.job.drill.servers, job.job.drill.store
    servers = layout.server_names(goal, group) if group in goal.servers else ()
    if request.server and request.server not in servers:
        message = f"{request.server} is not one of {', '.join(servers)}"
        raise InvalidInput([Problem("server", message)], what="arguments")
    return RestoreTarget(
        environment=goal.name,
        servers=tuple(servers),
        store=store,
        server=request.server,
        production=request.overwrite_production,
    )


def _require_consent(goal: Environment, request: RestoreRequest) -> None:
    """Raises: InvalidInput unless the operator confirmed that this environment's data is overwritten."""
    consent = f"yes, overwrite {goal.name}"
    problems = []
    if request.confirm != goal.name:
        problems.append(Problem("confirm", f"this overwrites data of {goal.name}; to do so, add confirm={goal.name}"))
    if goal.production and request.overwrite_production != consent:
        problems.append(
            Problem(
                "overwrite_production",
                f"{goal.name} is marked production; to overwrite it, add overwrite_production='{consent}'",
            )
        )
    if problems:
        raise InvalidInput(problems, what="backup.restore")


def _single(jobs: Sequence[BackupJob]) -> BackupJob:
    if len(jobs) != 1:
        message = f"say which: job= one of {', '.join(job.name for job in jobs)}"
        raise InvalidInput([Problem("job", message)], what="arguments")
    return jobs[0]


def _moment(text: str) -> datetime | None:
    """A moment as typed: ISO 8601, UTC unless it says otherwise."""
    if not text:
        return None
    moment = wall_clock.moment(text, timezone.utc)
    if moment is None:
        message = f"{shown(text)} is not a moment (write it like 2026-11-23T02:00:00Z)"
        raise InvalidInput([Problem("time", message)], what="arguments")
    return moment
