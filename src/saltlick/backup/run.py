"""One backup of one job, from the choice of the server to what is not wanted any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saltlick.backup.catalogue import Backup, Catalogue, after
from saltlick.backup.context import BackupContext, BackupJob, Contested, chosen
from saltlick.backup.freshness import bad_ids
from saltlick.backup.ground import Ground, ground
from saltlick.backup.history import Attempt, BackupAttempt
from saltlick.backup.retention import Window, held, proved_ids, unwanted
from saltlick.errors import SaltlickError
from saltlick.fleet.ports import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupResult:
    """How a run ended well. `warning` where the backup is good and something else is to be known: what was read changed
    meanwhile, it could not be restored where it came from, or nothing old was deleted. `unseen`: servers whose role is not
    known, and why."""

    backup: Backup
    manifest: Mapping[str, Any]
    deleted: tuple[str, ...]
    warning: str = ""
    unseen: Mapping[str, str] = field(default_factory=dict)


def take(
    subject: BackupJob,
    mode: str,
    context: BackupContext,
    *,
    who: str = "",
    server: str = "",
    primary: str = "",
    prune: bool = True,
) -> BackupResult:
    """Take a backup, then delete what the pillar does not want kept.

    `server` is where it is taken from, `primary` the one that lives on where there is more than one; both are found out if empty.

    Raises: NotReady, InvalidInput, ServerFailed; the history has it either way.
    """
    past, wanted = context.history.of(subject.environment, subject.name), server
    number = context.history.begin(subject.environment, Attempt.TAKE, subject.name, who=who)
    try:
        server, seen = chosen(subject, context, wanted, primary, _claimed(past))
        catalogue = context.catalogue(server, subject.job.store, subject.name)
        base = ground(subject.job, subject.servers, mode, catalogue, bad_ids(past), context.today())
        if not wanted and not primary:
            server = next((other for other in base.preferred(server) if _holds(other, subject, context)), server)
        taken = _taken(subject, base, server, catalogue, past, context)
    except SaltlickError as error:
        primaries = error.primaries if isinstance(error, Contested) else ()
        context.history.end(number, ok=False, error=str(error), server=",".join(primaries))
        context.notify("", {"job": subject.name, "step": "failed", "error": str(error)})
        raise
    context.history.end(number, ok=True, backup=taken["id"], server=server)
    backup = Backup.read(taken)
    context.notify("", {"job": subject.name, "step": "done", "backup": backup.id, "size": backup.size})
    hold = held(catalogue, backup, subject.job, past) if prune else ""
    deleted, warning = _tidied(subject, server, context) if prune and not hold else ((), "")
    warning = f"nothing old was deleted: {hold}" if hold else warning
    warnings = [*taken.get("warnings", ()), *([warning] if warning else [])]
    return BackupResult(backup=backup, manifest=taken, deleted=deleted, warning="; ".join(warnings), unseen=seen.unseen)


def _claimed(past: Sequence[BackupAttempt]) -> tuple[str, ...]:
    """The primaries of a run that was refused for there being more than one, until one ended well; `past` is newest first."""
    for attempt in past:
        if attempt.what is Attempt.TAKE and (attempt.ok or "," in attempt.server):
            return () if attempt.ok else tuple(attempt.server.split(","))
    return ()


def _taken(
    subject: BackupJob,
    base: Ground,
    server: str,
    catalogue: Catalogue,
    past: Sequence[BackupAttempt],
    context: BackupContext,
) -> Any:
    job = subject.job
    backup = after(context.today(), [*catalogue.ids, *(entry.backup for entry in past)], base.mode)
    context.notify(
        f"{subject.name}: {base.mode} backup {backup} on {server}",
        {"job": subject.name, "step": "start", "server": server},
    )
    how = {
        "mode": base.mode,
        "options": job.options,
        "environment": subject.environment,
        "deadline_s": job.deadline_s,
        "previous": base.previous,
        "follows": list(base.follows),
        "others": list(base.others),
        "why": base.why,
        "sequence": max((listed.sequence for listed in catalogue.backups), default=0) + 1,
    }
    call = Call("backup.take", (job.store, subject.name, backup, job.kind.value), how)
    return context.long(
        server, call, job=f"backup {subject.environment} {subject.name} {backup}", deadline_s=job.deadline_s
    )


def _holds(server: str, subject: BackupJob, context: BackupContext) -> bool:
    """Whether a server answers, and has what the job backs up."""
    call = Call("backup.holds", (subject.job.kind.value,), dict(subject.job.options))
    reply = context.fleet.run({server: call}, deadline_s=60)[server]
    return reply.ok and bool(reply.value.get("holds"))


def _tidied(subject: BackupJob, server: str, context: BackupContext) -> tuple[tuple[str, ...], str]:
    """A backup is good whether or not old ones can be deleted: what stands against that is said, and tried again next time."""
    try:
        catalogue = context.catalogue(server, subject.job.store, subject.name)
        past = context.history.of(subject.environment, subject.name)
        gone = (
            *unwanted(
                catalogue, subject.job.keep, bad_ids(past), window=Window.of(subject.job), proved=proved_ids(past)
            ),
            *_ruins(catalogue, past),
        )
        if gone:
            context.history.deleted(
                subject.environment, subject.name, gone
            )  # first: nobody who looks now may miss them
            context.one(server, Call("backup.prune", (subject.job.store, subject.name, list(gone))))
    except SaltlickError as error:
        return (), f"nothing old was deleted: {error}"
    return gone, ""


def _ruins(catalogue: Catalogue, past: Sequence[BackupAttempt]) -> tuple[str, ...]:
    """What killed runs left; nothing while another run is under way, for it may be that one's. A damaged manifest is not deleted:
    somebody may want to look at it."""
    under_way = any(entry.what is Attempt.TAKE and entry.ended is None and entry.alive for entry in past)
    return () if under_way else catalogue.unfinished
