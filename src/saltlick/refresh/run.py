"""A refresh, from the choice of the backup to the application that serves it.

    guard · backup · stop · restore, mask, prove (beside what serves) · exchange · afterwards · standbys · start

The exchange is the last act of one job on the target's primary, and atomic: before it, everything there is as it was; after it,
what is left to do can be repeated. A refresh that was interrupted is finished, or put right, by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saltlick.backup import restores
from saltlick.backup.catalogue import Backup
from saltlick.backup.context import BackupContext, BackupJob, settled
from saltlick.backup.freshness import span
from saltlick.backup.restores import RestoreTarget
from saltlick.backup.run import take
from saltlick.errors import NotReady, SaltlickError, ServerFailed
from saltlick.fleet.judge import judged
from saltlick.fleet.placeholders import fill
from saltlick.fleet.ports import Call
from saltlick.fleet.step import Step
from saltlick.refresh.pillar import Refresh
from saltlick.refresh.record import OPEN, Refreshed, RefreshPhase, RefreshRecords


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
        records.reached(
            number,
            RefreshPhase.RESTORING,
            server=server,
            backups=[backup.id for backup in chain],
            job=_job(asked, number),
        )
        done = _exchanged(asked, number, server, chain, context)
    except SaltlickError as error:
        records.reached(number, RefreshPhase.FAILED, error=str(error))
        raise
    records.reached(number, RefreshPhase.EXCHANGED, **_restored(done))
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


def _exchanged(
    asked: RefreshRequest, number: int, server: str, chain: Sequence[Backup], context: BackupContext
) -> Mapping[str, Any]:
    """Without its users the data is exchanged for the new; where that fails they come back to the old."""
    application = asked.how.application
    try:
        if application:
            _run_steps(asked, asked.application, application.stop, context)
        return restores.carried_out(
            asked.subject, asked.target, server, chain, context,
            scripts=asked.how.scripts, checks=asked.how.checks, swap=True, job=_job(asked, number),
        )  # fmt: skip
    except SaltlickError as error:
        try:
            if application:
                _run_steps(asked, asked.application, application.start, context)
        except SaltlickError as second:
            raise ServerFailed(f"{error}; and the application did not come back: {second}") from error
        raise


def _finish(asked: RefreshRequest, number: int, server: str, records: RefreshRecords, context: BackupContext) -> None:
    """All that follows the exchange.

    Each part may be repeated; what fails keeps the record open, and the next refresh goes on here.
    """
    others = [other for other in asked.target.servers if other != server]
    try:
        _run_steps(asked, [server], asked.how.after, context)
        kept = restores.standbys(asked.subject, others, context)
        if asked.how.application:
            _run_steps(asked, asked.application, asked.how.application.start, context)
    except SaltlickError as error:
        records.reached(number, RefreshPhase.EXCHANGED, error=str(error))
        raise ServerFailed(
            f"the data is refreshed, what follows it is not done: {error}. The next refresh.run goes on here"
        ) from error
    records.reached(number, RefreshPhase.DONE, standbys=kept)


def _settled(left: Refreshed, asked: RefreshRequest, records: RefreshRecords, context: BackupContext) -> bool:
    """Finish what was interrupted; False where it came to nothing and all is as before."""
    server = str(left.result.get("server", ""))
    phase = left.phase
    if phase is RefreshPhase.RESTORING:
        state = settled(
            server, context.fleet.run({server: Call("detached.status", (left.result["job"],))}, deadline_s=60)[server]
        )
        if state["state"] == "running":
            context.notify(
                f"{left.target}: the refresh that {left.who} began still runs on {server}; waiting for it", {}
            )
            state = _waited(server, str(left.result["job"]), asked.how.deadline_s, context)
        if state["state"] == "done":
            records.reached(left.number, RefreshPhase.EXCHANGED, **_restored(state.get("value") or {}))
            phase = RefreshPhase.EXCHANGED
    if phase is not RefreshPhase.EXCHANGED:
        records.reached(
            left.number, RefreshPhase.FAILED, error=left.error or "interrupted before anything was exchanged"
        )
        if asked.how.application:
            _run_steps(asked, asked.application, asked.how.application.start, context)
        return False
    context.notify(
        f"{left.target}: finishing the refresh of {left.began:%Y-%m-%d %H:%M} UTC, which was interrupted after its exchange",
        {},
    )
    _finish(asked, left.number, server, records, context)
    return True


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
    return {name: done[name] for name in ("checks", "reached", "seconds", "kept") if name in done}


def _read(records: RefreshRecords, asked: RefreshRequest) -> Refreshed:
    latest = records.latest(asked.target.environment)
    assert latest
    return latest
