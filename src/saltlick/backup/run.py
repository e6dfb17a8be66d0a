"""One backup of one job, from the choice of the server to what is not wanted any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saltlick.backup.catalogue import Backup, Catalogue, after
from saltlick.backup.context import BackupContext, BackupJob, source
from saltlick.backup.freshness import bad_ids
from saltlick.backup.history import Attempt
from saltlick.backup.retention import unwanted
from saltlick.errors import SaltlickError
from saltlick.fleet.ports import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupResult:
    """How a run ended well. `warning` where the backup is good and something is not: what was read changed
    meanwhile, it could not be restored where it came from, or what should have been deleted is not."""

    backup: Backup
    manifest: Mapping[str, Any]
    deleted: tuple[str, ...]
    warning: str = ""


def take(subject: BackupJob, mode: str, context: BackupContext, *, who: str = "") -> BackupResult:
    """Take a backup, then delete what the pillar does not want kept.

    Raises: NotReady, ServerFailed; the history has it either way.
    """
    number = context.history.begin(subject.environment, Attempt.TAKE, subject.name, who=who)
    try:
        server = source(subject, context)
        taken = _taken(subject, mode, server, context)
    except SaltlickError as error:
        context.history.end(number, ok=False, error=str(error))
        context.notify("", {"job": subject.name, "step": "failed", "error": str(error)})
        raise
    context.history.end(number, ok=True, backup=taken["id"], server=server)
    backup = Backup.read(taken)
    context.notify("", {"job": subject.name, "step": "done", "backup": backup.id, "size": backup.size})
    deleted, warning = _tidied(subject, server, context)
    warnings = [*taken.get("warnings", ()), *([warning] if warning else [])]
    return BackupResult(backup=backup, manifest=taken, deleted=deleted, warning="; ".join(warnings))


def _taken(subject: BackupJob, mode: str, server: str, context: BackupContext) -> Any:
    known = context.history.of(subject.environment, subject.name, limit=10)
    backup = after(context.today(), [entry.backup for entry in known], mode)
    context.notify(
        f"{subject.name}: {mode} backup {backup} on {server}", {"job": subject.name, "step": "start", "server": server}
    )
    job = subject.job
    how = {"mode": mode, "options": job.options, "environment": subject.environment, "deadline_s": job.deadline_s}
    call = Call("backup.take", (job.store, subject.name, backup, job.kind.value), how)
    return context.long(
        server, call, job=f"backup {subject.environment} {subject.name} {backup}", deadline_s=job.deadline_s
    )


def _tidied(subject: BackupJob, server: str, context: BackupContext) -> tuple[tuple[str, ...], str]:
    """A backup is good whether or not old ones can be deleted: what stands against that is said, and tried again next time."""
    try:
        catalogue = context.catalogue(server, subject.job.store, subject.name)
        gone = (
            *unwanted(catalogue, subject.job.keep, bad_ids(context.history.of(subject.environment, subject.name))),
            *_ruins(catalogue),
        )
        if gone:
            context.history.deleted(
                subject.environment, subject.name, gone
            )  # first: nobody who looks now may miss them
            context.one(server, Call("backup.prune", (subject.job.store, subject.name, list(gone))))
    except SaltlickError as error:
        return (), f"nothing old was deleted: {error}"
    return gone, ""


def _ruins(catalogue: Catalogue) -> tuple[str, ...]:
    """What killed runs left. One job runs at a time, and this one is done, so nobody is at work on them; a damaged manifest is
    not deleted: somebody may want to look at it."""
    return catalogue.unfinished
