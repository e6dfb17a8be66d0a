"""A refresh, from the choice of the backup to the application that serves it.

    guard · backup · restore, mask, write anew, prove (beside what serves) · stop · exchange · afterwards · start · standbys

The application serves until the data is ready, and is away for the exchange alone, which is one call to the kernel: before it,
everything there is as it was; after it, what is left to do can be repeated. A refresh that was interrupted is finished, or put
right, by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saltlick.backup import restores
from saltlick.backup.catalogue import Backup
from saltlick.backup.context import BackupContext, BackupJob, settled
from saltlick.backup.freshness import span
from saltlick.backup.pillar import BackupKind
from saltlick.backup.restores import RestoreTarget
from saltlick.backup.run import take
from saltlick.errors import NotReady, SaltlickError, ServerFailed
from saltlick.fleet.judge import judged
from saltlick.fleet.placeholders import fill
from saltlick.fleet.ports import Call
from saltlick.fleet.step import Step
from saltlick.refresh.pillar import Refresh
from saltlick.refresh.record import OPEN, Refreshed, RefreshPhase, RefreshRecords

DISCARD_S = 300.0
"""A copy may be large, and its server has to stop first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequest:
    """What is to be done: the backup job whose data it is, the target's servers, and the pillar's `refresh`."""

    subject: BackupJob
    target: RestoreTarget
    how: Refresh
    application: tuple[str, ...]
    """Servers that use the data."""
    who: str = ""


def refresh(asked: RefreshRequest, records: RefreshRecords, context: BackupContext) -> Refreshed:
    """Do it, or finish the one that was interrupted. The guard has been asked.

    Raises: NotReady, ServerFailed; the target then is as it was, or the record says that the exchange was done.
    """
    left = records.latest(asked.target.environment)
    if left and left.phase in OPEN and _settled(left, asked, records, context):
        return _read(records, asked)
    number = records.begin(asked.subject.environment, asked.target.environment, asked.who)
    try:
        server, chain = _chosen(asked, context)
        backups = [backup.id for backup in chain]
        records.reached(number, RefreshPhase.RESTORING, server=server, backups=backups, job=_job(asked, number))
        done = _ready(asked, number, server, chain, context)
    except SaltlickError as error:
        records.reached(number, RefreshPhase.FAILED, error=str(error))
        raise
    records.reached(number, RefreshPhase.READY, **_restored(done))
    _exchange(asked, number, server, records, context)
    _finish(asked, number, server, records, context)
    return _read(records, asked)


def _chosen(asked: RefreshRequest, context: BackupContext) -> tuple[str, Sequence[Backup]]:
    """The primary that gets it, and the backup that it gets."""
    server = restores.place(asked.subject, asked.target, context)
    if asked.how.newest:
        take(asked.subject, "incr", context, who=asked.who)
    chain = context.catalogue(server, asked.target.store, asked.subject.name).until(None)
    age_s = (context.today() - chain[-1].reaches).total_seconds()
    if age_s > asked.how.max_age_s:
        raise NotReady(
            f"{chain[-1].id} is the newest backup, {span(age_s)} old, and {span(asked.how.max_age_s)} are allowed"
        )
    return server, chain


def _ready(
    asked: RefreshRequest, number: int, server: str, chain: Sequence[Backup], context: BackupContext
) -> Mapping[str, Any]:
    """Beside what serves, the data is masked and proved."""
    scripts = [*restores.named(asked.how.masks, "refresh.mask"), *restores.named(asked.how.mail, "refresh.mail")]
    job = _job(asked, number)
    try:
        return restores.held(
            asked.subject, asked.target, server, chain, context,
            scripts=scripts, checks=asked.how.checks, job=job, deadline_s=asked.how.deadline_s,
        )  # fmt: skip
    except ServerFailed as error:
        raise ServerFailed(f"{error}. {_discarded(server, context)}{_as_it_was(asked)}") from error


def _discarded(server: str, context: BackupContext) -> str:
    """Have what a restore left beside what serves removed: it may not be masked. Says when it is still there, else nothing."""
    reply = context.fleet.run({server: Call("backup.discard")}, deadline_s=DISCARD_S)[server]
    if reply.ok:
        return ""
    return f"What was restored may still lie on {server} unmasked ({reply.error}): salt {server} backup.discard. "


def _exchange(asked: RefreshRequest, number: int, server: str, records: RefreshRecords, context: BackupContext) -> None:
    """Without its users the data is exchanged for the new; where that fails they come back to what is there."""
    hold, application = _job(asked, number), asked.how.application
    job = f"{hold} exchange"
    try:
        if application:
            _run_steps(asked, asked.application, application.stop, context)
        done = restores.exchanged(asked.subject, server, hold, context, job=job)
    except SaltlickError as error:
        phase, outcome = _unexchanged(asked, server, job, context)
        message = f"{error}. {outcome}"
        try:
            _started(asked, context)
        except SaltlickError as second:
            message = f"{message}; and the application did not come back: {second}"
        records.reached(number, phase, error=message)
        raise ServerFailed(message) from error
    records.reached(number, RefreshPhase.EXCHANGED, **_restored(done))


def _unexchanged(asked: RefreshRequest, server: str, job: str, context: BackupContext) -> tuple[RefreshPhase, str]:
    """How far a refresh is whose exchange gave no good answer, in a phase and in words."""
    reply = context.fleet.run({server: Call("detached.status", (job,))}, deadline_s=60)[server]
    state = reply.value["state"] if reply.ok else "silent"
    if state in ("failed", "unknown"):  # it says so itself, or never began
        return RefreshPhase.FAILED, _as_it_was(asked)
    unsure = f"Whether {asked.target.environment} has the new data is not known"
    if state == "lost":
        return RefreshPhase.FAILED, f"{unsure}: {server} was interrupted; {_again(asked)}"
    return RefreshPhase.READY, f"{unsure}: {server} is {state}; this goes on with it: {_again(asked)}"


def _as_it_was(asked: RefreshRequest) -> str:
    return f"{asked.target.environment} is as it was; once this is mended: {_again(asked)}"


def _again(asked: RefreshRequest) -> str:
    """The command to type."""
    return f"salt-run refresh.run source={asked.subject.environment} target={asked.target.environment}"


def _started(asked: RefreshRequest, context: BackupContext) -> None:
    if asked.how.application:
        _run_steps(asked, asked.application, asked.how.application.start, context)


def _finish(asked: RefreshRequest, number: int, server: str, records: RefreshRecords, context: BackupContext) -> None:
    """All that follows the exchange.

    Each part may be repeated; what fails keeps the record open, and the next refresh goes on here.
    """
    others = [other for other in asked.target.servers if other != server]
    try:
        _run_steps(asked, [server], asked.how.after, context)
        _started(asked, context)
        databases = asked.subject.job.kind is BackupKind.POSTGRESQL
        kept = restores.standbys(asked.subject, others, context, keep=False) if databases else {}
    except SaltlickError as error:
        records.reached(number, RefreshPhase.EXCHANGED, error=str(error))
        raise ServerFailed(
            f"the data is refreshed, what follows it is not done: {error}. The next refresh.run goes on here"
        ) from error
    records.reached(number, RefreshPhase.DONE, standbys=kept)


def _settled(left: Refreshed, asked: RefreshRequest, records: RefreshRecords, context: BackupContext) -> bool:
    """Finish what was interrupted; False where it came to nothing and all is as before."""
    server, job = str(left.result.get("server", "")), str(left.result.get("job", ""))
    phase = left.phase
    if phase is RefreshPhase.RESTORING:
        state = _over(left, server, job, asked, context)
        if state["state"] == "done":
            phase = RefreshPhase.READY
            records.reached(left.number, phase, **_restored(state.get("value") or {}))
        elif unmasked := _discarded(server, context):
            raise ServerFailed(f"{unmasked}{_as_it_was(asked)}")
    if phase is RefreshPhase.READY:
        state = _over(left, server, f"{job} exchange", asked, context)
        if state["state"] == "done":
            phase = RefreshPhase.EXCHANGED
            records.reached(left.number, phase, **_restored(state.get("value") or {}))
        elif state["state"] == "unknown" and _fresh(left, asked, context):
            context.notify(f"{left.target}: going on with the refresh of {left.began:%Y-%m-%d %H:%M} UTC", {})
            _exchange(asked, left.number, server, records, context)
            phase = RefreshPhase.EXCHANGED
        else:
            _started(asked, context)
    if phase is not RefreshPhase.EXCHANGED:
        error = left.error or "interrupted before anything was exchanged"
        records.reached(left.number, RefreshPhase.FAILED, error=error)
        return False
    context.notify(
        f"{left.target}: finishing the refresh of {left.began:%Y-%m-%d %H:%M} UTC, which was interrupted after its exchange",
        {},
    )
    _finish(asked, left.number, server, records, context)
    return True


def _fresh(left: Refreshed, asked: RefreshRequest, context: BackupContext) -> bool:
    """Whether what lies ready is still as new as the pillar wants it."""
    return (context.today() - left.began).total_seconds() <= asked.how.max_age_s


def _over(left: Refreshed, server: str, job: str, asked: RefreshRequest, context: BackupContext) -> Mapping[str, Any]:
    """How a job of an interrupted refresh ended, waited for where it still runs."""
    state: Mapping[str, Any] = context.one(server, Call("detached.status", (job,)), deadline_s=60)
    if state["state"] == "running":
        context.notify(f"{left.target}: the refresh that {left.who} began still runs on {server}; waiting for it", {})
        state = _waited(server, job, asked.how.deadline_s, context)
    return state


def _waited(server: str, job: str, deadline_s: float, context: BackupContext) -> Mapping[str, Any]:
    ends = context.clock.now() + deadline_s
    while True:
        state: Mapping[str, Any] = settled(
            server, context.fleet.run({server: Call("detached.status", (job,))}, deadline_s=60)[server]
        )
        if state["state"] != "running":
            return state
        if context.clock.now() > ends:
            raise ServerFailed(f"{server}: the restore that was begun before still runs after {deadline_s:g} s more")
        context.clock.sleep(5)


def _run_steps(asked: RefreshRequest, servers: Sequence[str], steps: Sequence[Step], context: BackupContext) -> None:
    """Steps on servers, one server after another. Raises: ServerFailed at the first that fails."""
    for server in servers:
        for step in steps:
            words = {"environment": asked.target.environment, "server": server}
            reply = context.fleet.run({server: fill(step, words)}, deadline_s=step.deadline_s)[server]
            settled(server, judged(reply, step))


def _job(asked: RefreshRequest, number: int) -> str:
    return f"refresh {asked.target.environment} {number}"


def _restored(done: Mapping[str, Any]) -> dict[str, Any]:
    return {name: done[name] for name in ("checks", "reached", "seconds", "kept", "notes") if name in done}


def _read(records: RefreshRecords, asked: RefreshRequest) -> Refreshed:
    latest = records.latest(asked.target.environment)
    assert latest
    return latest
