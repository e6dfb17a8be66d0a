"""The operator's commands that take, list and prove backups: one typed request in, one call of the core, a result out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saltlick.backup import report
from saltlick.backup import verify as backup_verify
from saltlick.backup.look import catalogues_of
from saltlick.backup.run import take
from saltlick.commands.arguments import Request, Text, WaitSeconds
from saltlick.commands.backup.context import backup_context, declared_backups, shared_job
from saltlick.commands.job import running_job
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Problem, SaltlickError

if TYPE_CHECKING:
    from saltlick.backup.catalogue import Catalogue

FAILED = SaltlickError.exit_code
MODES = ("full", "incr")


class BackupJobsRequest(Request):
    """The backup job; all of the environment where it is empty."""

    job: Text = ""


class TakeRequest(BackupJobsRequest):
    """`mode` is `full` or `incr`. It is taken from `server`; where more than one is the primary, `primary` lives on."""

    mode: Text = "full"
    server: Text = ""
    primary: Text = ""
    lock_wait: WaitSeconds = 0


class VerifyRequest(BackupJobsRequest):
    """`backup` is an id, `latest` or `all`."""

    backup: Text = "latest"
    lock_wait: WaitSeconds = 0


def run(opts: Mapping[str, Any], request: TakeRequest) -> CommandResult:
    """Take a backup of one job, or of all one after another. One that fails does not keep the others from theirs."""
    declared, mode = declared_backups(opts, request.name), request.mode or "full"
    jobs, name = declared.chosen(request.job), declared.environment.name
    if mode not in MODES:
        raise InvalidInput([Problem("mode", f"{mode} is neither full nor incr")], what="arguments")
    taken, failed = [], {}
    with (
        running_job(opts, shared_job(name, "take", "backup", request.caller, request.lock_wait)) as running,
        backup_context(opts, name, running.progress) as context,
    ):
        for job in jobs:
            try:
                done = take(job, mode, context, who=request.caller.user, server=request.server, primary=request.primary)
                taken.append(done)
            except SaltlickError as error:
                failed[job.name] = error
        if failed:
            running.failed({job: str(error) for job, error in failed.items()})
    result: dict[str, Any] = {
        "environment": name,
        "backups": [report.taken_data(backup) for backup in taken],
        "failed": {job: str(error) for job, error in failed.items()},
    }
    if failed:
        result["error"] = _errors(failed)
    code = max((error.exit_code for error in failed.values()), default=0)
    return CommandResult(
        result, lambda colour: report.taken_text(taken, result["failed"], colour), FAILED if code and taken else code
    )


def list_(opts: Mapping[str, Any], request: BackupJobsRequest) -> CommandResult:
    """What the stores have."""
    declared = declared_backups(opts, request.name)
    with backup_context(opts, declared.environment.name) as context:
        catalogues = catalogues_of(declared.chosen(request.job), context)
    jobs = {job: _listed(catalogue) for job, catalogue in catalogues.items()}
    code = FAILED if any(isinstance(catalogue, str) for catalogue in catalogues.values()) else 0
    return CommandResult(
        {"environment": declared.environment.name, "jobs": jobs},
        lambda colour: report.listed_text(catalogues, colour),
        code,
    )


def verify(opts: Mapping[str, Any], request: VerifyRequest) -> CommandResult:
    """Compare what is in the stores with its manifests, every byte."""
    declared = declared_backups(opts, request.name)
    name, jobs = declared.environment.name, declared.chosen(request.job)
    verified = {}
    with (
        running_job(
            opts, shared_job(name, "verify", "verification of backups", request.caller, request.lock_wait)
        ) as running,
        backup_context(opts, name, running.progress) as context,
    ):
        for job in jobs:
            verified[job.name] = backup_verify.verify(job, request.backup or "latest", context, who=request.caller.user)
        damaged = {job: backup.problems for job, backups in verified.items() for backup in backups if backup.problems}
        error = "; ".join(f"{job}: {', '.join(problems)}" for job, problems in damaged.items())
        if damaged:
            running.failed({job: f"damaged: {', '.join(problems)}" for job, problems in damaged.items()})
    result: dict[str, Any] = {
        "environment": name,
        "jobs": {
            job: [{"id": backup.backup, "problems": list(backup.problems)} for backup in backups]
            for job, backups in verified.items()
        },
    }
    if damaged:
        result["error"] = error
    return CommandResult(result, lambda colour: report.verified_text(verified, colour), FAILED if damaged else 0)


def _listed(catalogue: Catalogue | str) -> dict[str, Any]:
    if isinstance(catalogue, str):
        return {"error": catalogue}
    return {
        "backups": [report.backup_data(backup) for backup in catalogue.backups],
        "unfinished": list(catalogue.unfinished),
        "unreadable": list(catalogue.unreadable),
    }


def _errors(failed: Mapping[str, SaltlickError]) -> str:
    return "; ".join(f"{job}: {error}" for job, error in failed.items())
