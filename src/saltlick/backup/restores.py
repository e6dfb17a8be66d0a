"""Backups back onto servers: a point in time in the place of what serves, or a rehearsal that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from saltlick.backup.catalogue import Backup
from saltlick.backup.context import BackupContext, BackupJob, primary, source
from saltlick.backup.freshness import bad_ids
from saltlick.backup.history import Attempt
from saltlick.backup.pillar import BackupKind, RestoreCheck, Script
from saltlick.errors import NotReady, SaltlickError, ServerFailed
from saltlick.fleet.ports import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTarget:
    """Where to: the servers of a group of one environment, and the store by its name in their own pillar."""

    environment: str
    servers: tuple[str, ...]
    store: str
    server: str = ""
    """One of them, where that is not to be found out: no database of theirs may be left to ask."""
    production: str = ""
    """The words without which no server of production lets what it has be replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """How it ended well. `reached` is the last transaction that is there; `kept` where the former data is, on each server."""

    server: str
    chain: tuple[Backup, ...]
    reached: str
    checks: tuple[Mapping[str, Any], ...]
    seconds: Mapping[str, float]
    kept: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """What an operator has to know of the copy: what it left undone, and what starts by itself where it serves."""


def restore(
    subject: BackupJob,
    target: RestoreTarget,
    context: BackupContext,
    *,
    moment: datetime | None = None,
    scripts: Sequence[Script] = (),
    checks: Sequence[RestoreCheck] = (),
    who: str = "",
) -> Restored:
    """Restore a job's data to a moment (without one, all there is) and let it serve on the target; its standbys are made anew.

    Until the very end it is tried beside what serves: what fails before that leaves the target as it was.

    Raises: NotReady before anything is touched; ServerFailed.
    """
    number = context.history.begin(subject.environment, Attempt.RESTORE, subject.name, who=who)
    try:
        server = place(subject, target, context)
        chain = _chain(subject, target, server, moment, context)
        done = carried_out(
            subject, target, server, chain, context, moment=moment, scripts=scripts, checks=checks, swap=True
        )
        kept = {server: str(done["kept"])}
        if subject.job.kind is BackupKind.POSTGRESQL:
            kept |= standbys(subject, [other for other in target.servers if other != server], context)
    except SaltlickError as error:
        context.history.end(number, ok=False, error=str(error))
        raise
    context.history.end(number, ok=True, backup=chain[-1].id, server=server)
    return _restored(server, chain, done, kept)


def drill(subject: BackupJob, target: RestoreTarget, context: BackupContext, *, who: str = "") -> Restored:
    """Rehearse: the latest backup beside what serves on the target, checked and removed.

    Raises: NotReady where the pillar has no drill or nothing to restore; ServerFailed.
    """
    if subject.job.drill is None:
        raise NotReady(f"backup.jobs.{subject.name} has no drill")
    how, number = subject.job.drill, context.history.begin(subject.environment, Attempt.DRILL, subject.name, who=who)
    try:
        server = place(subject, target, context)
        chain = _chain(subject, target, server, None, context)
        done = carried_out(
            subject, target, server, chain, context, scripts=how.scripts, checks=how.checks,
            swap=False, origin=f"backup.jobs.{subject.name}.drill.scripts",
        )  # fmt: skip
    except SaltlickError as error:
        context.history.end(number, ok=False, error=str(error))
        context.notify("", {"job": subject.name, "step": "drill failed", "error": str(error)})
        raise
    context.history.end(number, ok=True, backup=chain[-1].id, server=server)
    return _restored(server, chain, done, {})


def place(subject: BackupJob, target: RestoreTarget, context: BackupContext) -> str:
    """Databases go to the primary, unless the operator names a server; a sole server is taken as it is."""
    if target.server:
        return target.server
    if subject.job.kind is not BackupKind.POSTGRESQL:
        return source(
            BackupJob(environment=target.environment, name=subject.name, job=subject.job, servers=target.servers),
            context,
        )
    return primary(target.servers, context) if len(target.servers) > 1 else target.servers[0]


def _chain(
    subject: BackupJob, target: RestoreTarget, server: str, moment: datetime | None, context: BackupContext
) -> tuple[Backup, ...]:
    """The backups for a moment: sound ones, if there are any for it. Raises: NotReady."""
    catalogue = context.catalogue(server, target.store, subject.name)
    bad = bad_ids(context.history.of(subject.environment, subject.name))
    try:
        return catalogue.without(bad).until(moment)
    except NotReady:
        return catalogue.until(moment)  # what failed its verification is compared once more, before it is used


def carried_out(
    subject: BackupJob,
    target: RestoreTarget,
    server: str,
    chain: Sequence[Backup],
    context: BackupContext,
    *,
    moment: datetime | None = None,
    scripts: Sequence[Script] = (),
    checks: Sequence[RestoreCheck] = (),
    swap: bool,
    origin: str = "",
) -> Mapping[str, Any]:
    """The server's part, as a job of its own: it goes on when the master dies, and under the same id it is never done twice.

    `origin` is where the scripts stand in a pillar, for errors.
    """
    job = f"restore {subject.environment} {subject.name} {context.today():%Y%m%dT%H%M%S}"
    return _server_part(
        subject, target, server, chain, context, job,
        {
            "until": moment.strftime("%Y-%m-%d %H:%M:%S.%f+00") if moment else "",
            "scripts": named(scripts, origin),
            "checks": [check.model_dump(exclude_none=True) for check in checks],
            "swap": swap,
            "production": target.production if swap else "",
            "deadline_s": subject.job.deadline_s,
        },
    )  # fmt: skip


def held(
    subject: BackupJob,
    target: RestoreTarget,
    server: str,
    chain: Sequence[Backup],
    context: BackupContext,
    *,
    scripts: Sequence[Mapping[str, Any]],
    checks: Sequence[RestoreCheck],
    job: str,
    deadline_s: float,
) -> Mapping[str, Any]:
    """The data of another environment beside what serves: restored, changed, written anew and proved; ready for `exchanged`."""
    how = {
        "until": "",
        "scripts": list(scripts),
        "checks": [check.model_dump(exclude_none=True) for check in checks],
        "anew": True,
        "hold": job,
        "deadline_s": deadline_s,
    }
    return _server_part(subject, target, server, chain, context, job, how)


def exchanged(subject: BackupJob, server: str, hold: str, context: BackupContext, *, job: str) -> Mapping[str, Any]:
    """What is held ready takes the place of what serves."""
    context.notify(
        f"{subject.name}: exchanged on {server}", {"job": subject.name, "step": "exchange", "server": server}
    )
    call = Call("backup.exchange", (hold,))
    result: Mapping[str, Any] = context.long(server, call, job=job, deadline_s=subject.job.deadline_s)
    return result


def named(scripts: Sequence[Script], origin: str) -> list[dict[str, Any]]:
    """Scripts as a server is told of them, each with its path in the pillar."""
    return [
        {**script.model_dump(exclude_none=True), "name": f"{origin}[{number}]"} for number, script in enumerate(scripts)
    ]


def _server_part(
    subject: BackupJob,
    target: RestoreTarget,
    server: str,
    chain: Sequence[Backup],
    context: BackupContext,
    job: str,
    how: Mapping[str, Any],
) -> Mapping[str, Any]:
    ids = [backup.id for backup in chain]
    context.notify(
        f"{subject.name}: {' + '.join(ids)} on {server}", {"job": subject.name, "step": "restore", "server": server}
    )
    folders = {"directories": list(subject.job.directories)} if subject.job.directories else {}
    call = Call("backup.restore", (target.store, subject.name, ids, subject.job.kind.value), {**how, **folders})
    # Each part of it has that long; the whole of it twice as long.
    result: Mapping[str, Any] = context.long(server, call, job=job, deadline_s=2 * float(how["deadline_s"]))
    return result


def standbys(
    subject: BackupJob, servers: Sequence[str], context: BackupContext, *, keep: bool = True
) -> dict[str, str]:
    """The others still follow the cluster that was: each is made anew. All are tried; those that fail are named.

    Without `keep` nothing of what they held stays there.
    """
    kept, failed = {}, []
    for server in servers:
        context.notify(
            f"{subject.name}: {server} becomes a standby anew",
            {"job": subject.name, "step": "reseed", "server": server},
        )
        try:
            job = f"reseed {subject.environment} {server} {context.today():%Y%m%dT%H%M%S}"
            kept[server] = str(
                context.long(server, Call("backup.reseed", (keep,)), job=job, deadline_s=subject.job.deadline_s)["kept"]
            )
        except ServerFailed as error:
            failed.append(str(error))
    if failed:
        raise ServerFailed(
            f"restored, but without its standby; salt <server> backup.reseed makes one: {'; '.join(failed)}"
        )
    return kept


def _restored(server: str, chain: tuple[Backup, ...], done: Mapping[str, Any], kept: Mapping[str, str]) -> Restored:
    return Restored(
        server=server,
        chain=chain,
        reached=str(done.get("reached", "")),
        checks=tuple(done.get("checks", ())),
        seconds=dict(done.get("seconds", {})),
        kept=dict(kept),
        notes=tuple(done.get("notes", ())),
    )
