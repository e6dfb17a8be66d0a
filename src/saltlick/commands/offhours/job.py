"""One switch of an environment as a job: its lock, its signals, and what is remembered of it."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from saltlick.commands.job import environment_locks, running_job
from saltlick.commands.offhours.context import OffHoursEnvironment, offhours_context, open_records
from saltlick.commands.result import CommandResult
from saltlick.errors import ApplyFailed, Locked, SaltlickError
from saltlick.jobs.interrupts import Interrupted
from saltlick.jobs.request import Caller, JobRequest
from saltlick.jobs.signals import Signals
from saltlick.offhours import switch, wording
from saltlick.offhours.records import LastSwitch, OffHoursRecord, made
from saltlick.offhours.schedule import OnOff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from saltlick.jobs.lock import Locks
    from saltlick.jobs.running import RunningJob
    from saltlick.offhours.switch import OffHoursContext, SwitchReport


SUBJECT = "switch"
"""What is red where a change could not be made."""


@dataclass(frozen=True, kw_only=True)
class SwitchJob:
    """One switch: which way, since when it is due, and why. `still_due` is asked under the lock."""

    side: OnOff
    due_at: datetime
    why: str
    still_due: Callable[[], bool] = lambda: True


def switch_locked(
    opts: Mapping[str, Any],
    switched: OffHoursEnvironment,
    job: SwitchJob,
    caller: Caller,
    lock_wait_s: float,
    *,
    open_context: Callable[..., AbstractContextManager[OffHoursContext]] = offhours_context,
    open_locks: Callable[[Mapping[str, Any], str], Locks] = environment_locks,
) -> CommandResult:
    """Take the lock, switch, and remember how that ended.

    Raises: Locked with the holder, NotReady, InvalidInput: nothing was touched.
    """
    name = switched.name
    try:
        with Signals().handled(), _running(opts, switched, job, caller, lock_wait_s, open_locks) as running:
            progress = running.progress
            if not job.still_due():
                result = {"environment": name, "side": job.side.value, "why": "not due any more"}
                return CommandResult(result, f"{name}: not due any more")
            with open_context(opts, switched, lambda text: progress.line(f"{name}: {text}")) as context:
                progress.step(name, f"offhours/{job.side.value}", why=job.why)
                report = _switched(opts, switched, job, caller, lambda: switch.switch(context, job.side))
                _remember(opts, name, lambda record: _after(record, report, caller.user, job.due_at))
            if report.complete:
                progress.step(name, f"offhours/is_{job.side.value}", why=job.why)
            else:
                running.ended("failed", "; ".join(map(str, report.failed)))
        return _result(switched, report, job.why)
    except Interrupted as stopped:
        error = f"{stopped}: what was switched stays so; the next `offhours.run` goes on from there"
        return CommandResult({"error": error, "environment": name}, retcode=ApplyFailed.exit_code)


@contextlib.contextmanager
def _running(
    opts: Mapping[str, Any],
    switched: OffHoursEnvironment,
    job: SwitchJob,
    caller: Caller,
    lock_wait_s: float,
    open_locks: Callable[[Mapping[str, Any], str], Locks],
) -> Iterator[RunningJob]:
    """The environment's lock for the block. The lock of a killed switch is taken over, no other one is.

    Raises: Locked, naming the holder.
    """
    name = switched.name
    with open_records(opts) as records:
        killed_job = records.read(name).job
    caller = replace(caller, job_id=caller.job_id or f"offhours-{uuid.uuid4().hex[:12]}")
    request = JobRequest(
        environments=(name,),
        feature="offhours",
        action=job.side.value,
        subject=SUBJECT,
        reason=f"offhours: {name} goes {job.side.value}",
        caller=caller,
        lock_wait_s=lock_wait_s,
        succeeds=killed_job,
    )

    def explain(refused: Locked) -> Locked:
        return Locked(f"{name} does not go {job.side.value} for now, the next `offhours.run` tries again: {refused}")

    with running_job(opts, request, explain=explain, open_locks=open_locks) as running:
        (lease,) = running.leases
        if not lease.joined:  # an orchestration's lock stands for more than this
            _remember(opts, name, lambda record: replace(record, job=lease.holder.job))
        try:
            yield running
        finally:
            _remember(opts, name, lambda record: replace(record, job=""))


def _switched(
    opts: Mapping[str, Any],
    switched: OffHoursEnvironment,
    job: SwitchJob,
    caller: Caller,
    story: Callable[[], SwitchReport],
) -> SwitchReport:
    """The report; that a switch failed is remembered too, for `status`."""
    try:
        return story()
    except (SaltlickError, Interrupted) as error:
        last = LastSwitch(side=job.side, at=_now(), ok=False, by=caller.user, reason=str(error))
        _remember(opts, switched.name, lambda record: replace(record, last=last))
        raise


def _remember(opts: Mapping[str, Any], name: str, change: Callable[[OffHoursRecord], OffHoursRecord]) -> None:
    with open_records(opts) as records:
        records.change(name, change)


def _after(record: OffHoursRecord, report: SwitchReport, user: str, due_at: datetime) -> OffHoursRecord:
    reason = "; ".join(map(str, report.failed))
    last = LastSwitch(side=report.side, at=_now(), ok=report.complete, by=user, reason=reason)
    if not report.complete:
        return replace(record, last=last)
    after = made(record, last, due_at)
    switched_off_while_kept_on = report.side is OnOff.OFF and after.keep is not None
    return replace(after, keep=None) if switched_off_while_kept_on else after


def _result(switched: OffHoursEnvironment, report: SwitchReport, why: str) -> CommandResult:
    name, side = switched.name, report.side.value
    result: dict[str, Any] = {
        "environment": name,
        "side": side,
        "why": why,
        "complete": report.complete,
        "outcomes": [outcome_data(outcome) for outcome in report.outcomes],
    }
    headline = f"{name} is {side}" if report.complete else f"{name} is not {side}"
    lines = [
        f"{headline} ({why}) at {wording.at(switched.hours, _now())}",
        *(f"  {outcome}" for outcome in report.outcomes),
    ]
    if report.failed or not report.complete:
        result["error"] = "; ".join([headline, *map(str, report.failed)])
        return CommandResult(result, "\n".join(lines), ApplyFailed.exit_code)
    return CommandResult(result, "\n".join(lines))


def outcome_data(outcome: switch.SwitchOutcome) -> dict[str, Any]:
    """One outcome as plain data."""
    return {"turn": outcome.turn, "name": outcome.name, "came": outcome.came.value, "why": outcome.why}


def _now() -> datetime:
    return datetime.now(timezone.utc)
