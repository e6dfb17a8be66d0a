"""The operator's commands on off-hours: one typed request in, one call of the core, a `CommandResult` out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from saltlick.commands.announce import announce, announce_failure, declared_notify
from saltlick.commands.arguments import Flag, Remark, Request, Text, WaitSeconds
from saltlick.commands.job import environment_locks, job_progress, open_store
from saltlick.commands.offhours.context import (
    OffHoursEnvironment,
    account_of,
    custodian_of,
    offhours_context,
    offhours_environment,
    open_records,
)
from saltlick.commands.offhours.job import SUBJECT, SwitchJob, outcome_data, switch_locked
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Locked, Problem, SaltlickError
from saltlick.notify.condition import Feature
from saltlick.notify.jobs import failed, green
from saltlick.offhours import policies as custodian_policies
from saltlick.offhours import switch, wording
from saltlick.offhours.due import DueChange, KeepOn, due
from saltlick.offhours.pillar import OFFHOURS_KEY
from saltlick.offhours.records import OffHoursRecord
from saltlick.offhours.schedule import OnOff, following
from saltlick.offhours.turns import turns
from saltlick.offhours.until import instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from saltlick.jobs.lock import Locks
    from saltlick.jobs.request import Caller

log = logging.getLogger(__name__)

CANCEL = {"none", "null"}


class SwitchRequest(Request):
    """With `test`, only show what would be switched."""

    test: Flag = False
    lock_wait: WaitSeconds = 0


class KeepOnRequest(Request):
    """Until when, and why. `until=none` cancels."""

    until: Text = ""
    reason: Remark = ""


def policies(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """The standing policies of Cloud Custodian, as the pillar has them."""
    switched = offhours_environment(opts, request.name)
    rendered = custodian_policies.standing(switched.hours, switched.environment)
    return CommandResult({"policies": list(rendered)}, custodian_policies.as_yaml(rendered, switched.name).rstrip())


def validate(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """Whether the pillar is sound and Custodian takes what is made of it. Asks AWS nothing."""
    switched = offhours_environment(opts, request.name)
    name, hours = switched.name, switched.hours
    rendered = custodian_policies.standing(hours, switched.environment)
    custodian_of(opts, switched).validate(rendered)
    text = f"{name}: sound, {len(rendered)} policies; off {hours.off}, on {hours.on} ({hours.timezone})"
    return CommandResult(
        {"environment": name, "valid": True, "policies": [policy["name"] for policy in rendered]}, text
    )


def run(opts: Mapping[str, Any], request: SwitchRequest) -> CommandResult:
    """Make the environment what its hours say, where that was not done yet. The schedule calls this."""
    try:
        result = run_at(
            opts, request.name, _now(), test=request.test, caller=request.caller, lock_wait_s=request.lock_wait
        )
    except SaltlickError as error:
        _report_failure(opts, request, str(error), told=not isinstance(error, Locked))
        raise
    if result.retcode:
        _report_failure(opts, request, str(result.result.get("error", "")))
    elif not request.test:
        _report_success(opts, request)
    return result


def run_at(
    opts: Mapping[str, Any],
    name: object,
    at: datetime,
    *,
    test: bool,
    caller: Caller,
    lock_wait_s: float = 0,
    open_context: Callable[..., AbstractContextManager[switch.OffHoursContext]] = offhours_context,
    open_locks: Callable[[Mapping[str, Any], str], Locks] = environment_locks,
) -> CommandResult:
    """The same, at that instant."""
    switched = offhours_environment(opts, name)
    change = _due(opts, switched, at)
    if change.side is None:
        return _nothing_due(opts, switched, change, at)
    if test:
        return _preview(
            opts, switched, change.side, f"{change.why} since {wording.at(switched.hours, change.moment.at)}"
        )
    job = SwitchJob(
        side=change.side,
        due_at=change.moment.at,
        why=change.why,
        still_due=lambda: _due(opts, switched, at).side is change.side,
    )
    return switch_locked(opts, switched, job, caller, lock_wait_s, open_context=open_context, open_locks=open_locks)


def stop(opts: Mapping[str, Any], request: SwitchRequest) -> CommandResult:
    """Off now, in order, whatever the hour; until its hours say on."""
    return _by_hand(opts, request, OnOff.OFF)


def start(opts: Mapping[str, Any], request: SwitchRequest) -> CommandResult:
    """On now, in order, whatever the hour; until its hours say off."""
    return _by_hand(opts, request, OnOff.ON)


def keep_on(opts: Mapping[str, Any], request: KeepOnRequest) -> CommandResult:
    """Do not switch it off before then; `until=none` cancels that."""
    switched, at = offhours_environment(opts, request.name), _now()
    name, hours = switched.name, switched.hours
    if not request.until:
        message = "say until when: until=22:00, or until=none to take it back"
        raise InvalidInput([Problem("until", message)], what="arguments")
    if request.until.lower() in CANCEL:
        return _cancelled(opts, switched, at)
    until = instant(request.until, hours, at)
    keep = KeepOn(until=until, since=at, by=request.caller.user, reason=request.reason)
    with open_records(opts) as records:
        record = records.change(name, lambda record: replace(record, keep=keep))
    text = f"{name} is {wording.kept(hours, keep)}"
    holder = environment_locks(opts, request.caller.user).read(name)
    if holder and holder.job == record.job != "":
        text += f". It is being switched right now ({holder.reason}): salt-run offhours.start {name} afterwards"
    elif record.last and record.last.side is OnOff.OFF and record.last.ok:
        text += f". It is off since {wording.at(hours, record.last.at)}: salt-run offhours.start {name}"
    return CommandResult({"environment": name, "keep": _keep_data(keep)}, text)


def status(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """What is due, what was done, who keeps it on, who has the lock, and the state of everything in AWS."""
    switched, at = offhours_environment(opts, request.name), _now()
    record, change = _read(opts, switched), _due(opts, switched, at)
    account = account_of(switched)
    objects = [thing for turn in turns(switched.hours, switched.environment, OnOff.OFF) for thing in account.look(turn)]
    locks = environment_locks(opts, request.caller.user)
    holder = locks.read(switched.name)
    result = {
        **_due_data(switched, change, at),
        "keep": _keep_data(record.keep if record.keep and record.keep.until > at else None),
        "last": record.last
        and {"side": record.last.side.value, "at": record.last.at.isoformat(), "ok": record.last.ok},
        "lock": f"{holder}{' (stale: its process is gone)' if locks.stale(holder) else ''}" if holder else "",
        "things": {
            thing.name: {"id": thing.id, "state": thing.state, "never": thing.never, "opted_out": thing.opted_out}
            for thing in objects
        },
    }
    return CommandResult(result, "\n".join(_status_lines(switched, record, change, result, at)))


def _report_failure(opts: Mapping[str, Any], request: SwitchRequest, error: str, *, told: bool = True) -> None:
    """The answers of a schedule are read by nobody: a failure is in the log, an event for reactors, and people are told.

    Nobody is told where another job has the lock: the next run tries again.
    """
    log.error("offhours.run %s: %s", request.name, error)
    name = str(request.name)
    with job_progress(opts, request.caller.job_id) as progress, open_store(opts) as store:
        progress.step(name, "offhours/failed", error=error)
        if told and not request.test:
            unknown = ("which of its servers are on: offhours.status shows it",)
            condition = failed(name, Feature.OFFHOURS, SUBJECT, error, unknown=unknown)
            announce_failure(opts, OFFHOURS_KEY, store, condition, progress.line)


def _report_success(opts: Mapping[str, Any], request: SwitchRequest) -> None:
    """What could not begin once can begin now; a switch that failed stays due, so it is green only after it was made."""
    name = str(request.name)
    with job_progress(opts, request.caller.job_id) as progress, open_store(opts) as store:
        announce(opts, store, declared_notify(opts, [name]), [green(name, Feature.OFFHOURS, SUBJECT)], progress.line)


def _by_hand(opts: Mapping[str, Any], request: SwitchRequest, side: OnOff) -> CommandResult:
    switched = offhours_environment(opts, request.name)
    if request.test:
        return _preview(opts, switched, side, "by hand")
    job = SwitchJob(side=side, due_at=_now(), why="by hand")
    return switch_locked(opts, switched, job, request.caller, request.lock_wait)


def _read(opts: Mapping[str, Any], switched: OffHoursEnvironment) -> OffHoursRecord:
    with open_records(opts) as records:
        return records.read(switched.name)


def _due(opts: Mapping[str, Any], switched: OffHoursEnvironment, at: datetime) -> DueChange:
    record = _read(opts, switched)
    return due(switched.hours, at, done=record.done, keep=record.keep)


def _nothing_due(
    opts: Mapping[str, Any], switched: OffHoursEnvironment, change: DueChange, at: datetime
) -> CommandResult:
    """Nothing is to be done. The first run remembers the state in which it met the environment."""
    record = _read(opts, switched)
    if record.done is None and record.keep is None:
        with open_records(opts) as records:
            records.change(switched.name, lambda record: replace(record, done=change.moment.at))
    kept_on = change.why == "kept on" and record.keep
    why = wording.kept(switched.hours, record.keep) if kept_on and record.keep else change.why
    result = _due_data(switched, change, at)
    return CommandResult(result, f"{switched.name}: nothing to do ({why}); {result['next']}")


def _preview(opts: Mapping[str, Any], switched: OffHoursEnvironment, side: OnOff, why: str) -> CommandResult:
    with offhours_context(opts, switched) as context:
        report = switch.foresee(context, side)
    lines = [f"{switched.name}: would go {side.value} ({why})", *(f"  {outcome}" for outcome in report.outcomes)]
    result = {
        "environment": switched.name,
        "side": side.value,
        "why": why,
        "outcomes": [outcome_data(outcome) for outcome in report.outcomes],
    }
    return CommandResult(result, "\n".join(lines))


def _cancelled(opts: Mapping[str, Any], switched: OffHoursEnvironment, at: datetime) -> CommandResult:
    """It ends now, which is a change of state of its own: what should be off goes off with the next run."""
    name = switched.name
    keep = _read(opts, switched).keep
    if keep is None or keep.until <= at:
        return CommandResult({"environment": name, "keep": None}, f"{name} was not kept on by anybody")
    ended = replace(keep, until=at)
    with open_records(opts) as records:
        records.change(name, lambda record: replace(record, keep=ended))
    text = f"{name} is not kept on any more; it was {wording.kept(switched.hours, keep)}"
    return CommandResult({"environment": name, "keep": None}, text)


def _due_data(switched: OffHoursEnvironment, change: DueChange, at: datetime) -> dict[str, Any]:
    next_change = following(switched.hours, at)
    return {
        "environment": switched.name,
        "side": change.moment.side.value,
        "since": change.moment.at.isoformat(),
        "due": change.side.value if change.side else None,
        "why": change.why,
        "next": f"{next_change.side.value} {wording.at(switched.hours, next_change.at)}",
    }


def _status_lines(
    switched: OffHoursEnvironment,
    record: OffHoursRecord,
    change: DueChange,
    result: Mapping[str, Any],
    at: datetime,
) -> list[str]:
    hours = switched.hours
    since = wording.at(hours, change.moment.at)
    lines = [
        f"{switched.name}: {change.moment.side.value} since {since} by its hours ({change.why})",
        f"next: {result['next']}",
    ]
    if record.keep and record.keep.until > at:
        lines.append(wording.kept(hours, record.keep))
    if record.last:
        how = "done" if record.last.ok else f"not done: {record.last.reason}"
        lines.append(f"last: {record.last.side.value} {wording.at(hours, record.last.at)} by {record.last.by}: {how}")
    if result["lock"]:
        lines.append(f"locked by {result['lock']}")
    width = max(map(len, result["things"]), default=0)
    for name, thing in result["things"].items():
        note = f"never touched: {thing['never']}" if thing["never"] else "opted out" if thing["opted_out"] else ""
        lines.append(f"  {name:<{width}}  {thing['id']}  {thing['state']}  {note}".rstrip())
    return lines


def _keep_data(keep: KeepOn | None) -> dict[str, Any] | None:
    return {"until": keep.until.isoformat(), "by": keep.by, "reason": keep.reason} if keep else None


def _now() -> datetime:
    return datetime.now(timezone.utc)
