"""The operator's commands on off-hours: pillar in, ports built, one call of the core, an `Answer` out."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from saltlick.commands.arguments import flag_argument, text_argument
from saltlick.commands.lock import environment_locks
from saltlick.commands.offhours.context import (
    OffHoursEnvironment,
    account_of,
    custodian_of,
    offhours_context,
    offhours_environment,
    records,
    switch_locked,
)
from saltlick.commands.release.job import Caller
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Problem, SaltlickError
from saltlick.offhours import policies as rendering
from saltlick.offhours import switch, wording
from saltlick.offhours.due import DueChange, KeepOn, due
from saltlick.offhours.schedule import OnOff, following
from saltlick.offhours.turns import turns
from saltlick.offhours.until import instant
from saltlick.salt_io.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from saltlick.offhours.records import OffHoursRecord

log = logging.getLogger(__name__)

CANCEL = {"none", "null"}


def policies(opts: Mapping[str, Any], name: object) -> CommandResult:
    """The standing policies of Cloud Custodian, as the pillar has them."""
    night = offhours_environment(opts, name)
    made = rendering.standing(night.hours, night.environment)
    return CommandResult({"policies": list(made)}, rendering.as_yaml(made, night.name).rstrip())


def validate(opts: Mapping[str, Any], name: object) -> CommandResult:
    """Whether the pillar is sound and Custodian takes what is made of it; asks AWS nothing."""
    night = offhours_environment(opts, name)
    made = rendering.standing(night.hours, night.environment)
    custodian_of(opts, night).validate(made)
    said = f"{night.name}: sound, {len(made)} policies; off {night.hours.off}, on {night.hours.on} ({night.hours.timezone})"
    return CommandResult({"environment": night.name, "valid": True, "policies": [one["name"] for one in made]}, said)


def run(
    opts: Mapping[str, Any],
    name: object,
    *,
    test: object = False,
    lock_wait: object = 0,
    job: str = "",
    user: str = "",
) -> CommandResult:
    """Make the environment what its hours say, where that was not done yet; what the schedule calls."""
    dry, asking = flag_argument("test", test), Caller(job=job, user=user, lock_wait=lock_wait)
    try:
        answer = run_at(opts, name, _now(), test=dry, asking=asking)
    except SaltlickError as error:
        _complain(opts, name, job, str(error))
        raise
    if answer.retcode:
        _complain(opts, name, job, str(answer.result.get("error", "")))
    return answer


def run_at(
    opts: Mapping[str, Any],
    name: object,
    at: datetime,
    *,
    test: bool,
    asking: Caller,
    stage: Callable[..., AbstractContextManager[switch.OffHoursContext]] = offhours_context,
) -> CommandResult:
    """The same, at that instant."""
    night = offhours_environment(opts, name)
    found = _due(opts, night, at)
    if found.side is None:
        return _nothing(opts, night, found, at)
    if test:
        return _foreseen(opts, night, found.side, f"{found.why} since {wording.at(night.hours, found.moment.at)}")
    return switch_locked(
        opts,
        night,
        found.side,
        asking,
        moment=found.moment.at,
        why=found.why,
        still=lambda: _due(opts, night, at).side is found.side,
        stage=stage,
    )


def stop(
    opts: Mapping[str, Any],
    name: object,
    *,
    test: object = False,
    lock_wait: object = 0,
    job: str = "",
    user: str = "",
) -> CommandResult:
    """Off now, in order, whatever the hour; until its hours say on."""
    return _by_hand(opts, name, OnOff.OFF, test, Caller(job=job, user=user, lock_wait=lock_wait))


def start(
    opts: Mapping[str, Any],
    name: object,
    *,
    test: object = False,
    lock_wait: object = 0,
    job: str = "",
    user: str = "",
) -> CommandResult:
    """On now, in order, whatever the hour; until its hours say off."""
    return _by_hand(opts, name, OnOff.ON, test, Caller(job=job, user=user, lock_wait=lock_wait))


def keep_on(
    opts: Mapping[str, Any],
    name: object,
    *,
    until: object = "",
    reason: object = "",
    user: str = "",
) -> CommandResult:
    """Do not switch it off before then; `until=none` takes that back."""
    night, at = offhours_environment(opts, name), _now()
    said = "none" if until is None else text_argument(opts, "until", until)
    if not said:
        raise InvalidInput(
            [Problem("until", "say until when: until=22:00, or until=none to take it back")], what="arguments"
        )
    who = Caller(user=user).who
    if said.lower() in CANCEL:
        return _cancelled(opts, night, at)
    keep = KeepOn(until=instant(said, night.hours, at), since=at, by=who, reason=str(reason or ""))
    record = records(opts).change(night.name, lambda record: replace(record, keep=keep))
    text = f"{night.name} is {wording.kept(night.hours, keep)}"
    if (holder := environment_locks(opts).read(night.name)) and holder.job == record.job != "":
        text += f". It is being switched right now ({holder.reason}): salt-run offhours.start {night.name} afterwards"
    elif record.last and record.last.side is OnOff.OFF and record.last.ok:
        text += f". It is off since {wording.at(night.hours, record.last.at)}: salt-run offhours.start {night.name}"
    return CommandResult({"environment": night.name, "keep": _kept(keep)}, text)


def status(opts: Mapping[str, Any], name: object) -> CommandResult:
    """What is due, what was done, who keeps it on, who has the lock, and how everything stands in AWS."""
    night, at = offhours_environment(opts, name), _now()
    record, found = records(opts).read(night.name), _due(opts, night, at)
    account = account_of(night)
    things = [one for turn in turns(night.hours, night.environment, OnOff.OFF) for one in account.look(turn)]
    desk = environment_locks(opts)
    holder = desk.read(night.name)
    told = {
        **_told(night, found, at),
        "keep": _kept(record.keep if record.keep and record.keep.until > at else None),
        "last": record.last
        and {"side": record.last.side.value, "at": record.last.at.isoformat(), "ok": record.last.ok},
        "lock": f"{holder}{' (stale: its process is gone)' if desk.stale(holder) else ''}" if holder else "",
        "things": {
            one.name: {"id": one.id, "state": one.state, "never": one.never, "opted_out": one.opted_out}
            for one in things
        },
    }
    return CommandResult(told, "\n".join(_lines(night, record, found, told, at)))


def _complain(opts: Mapping[str, Any], name: object, job: str, error: str) -> None:
    """A schedule has nobody who reads its answers: what goes wrong is in the log, and an event for reactors."""
    log.error("offhours.run %s: %s", name, error)
    with Progress(opts, job) as told:
        told.step(str(name), "offhours/failed", error=error)


def _by_hand(opts: Mapping[str, Any], name: object, side: OnOff, test: object, asking: Caller) -> CommandResult:
    night = offhours_environment(opts, name)
    if flag_argument("test", test):
        return _foreseen(opts, night, side, "by hand")
    return switch_locked(opts, night, side, asking, moment=_now(), why="by hand", still=lambda: True)


def _due(opts: Mapping[str, Any], night: OffHoursEnvironment, at: datetime) -> DueChange:
    record = records(opts).read(night.name)
    return due(night.hours, at, done=record.done, keep=record.keep)


def _nothing(opts: Mapping[str, Any], night: OffHoursEnvironment, found: DueChange, at: datetime) -> CommandResult:
    """Nothing is to be done; the first run remembers what it took as it was."""
    record = records(opts).read(night.name)
    if record.done is None and record.keep is None:
        records(opts).change(night.name, lambda record: replace(record, done=found.moment.at))
    why = wording.kept(night.hours, record.keep) if found.why == "kept on" and record.keep else found.why
    told = _told(night, found, at)
    return CommandResult(told, f"{night.name}: nothing to do ({why}); {told['next']}")


def _foreseen(opts: Mapping[str, Any], night: OffHoursEnvironment, side: OnOff, why: str) -> CommandResult:
    with offhours_context(opts, night) as world:
        report = switch.foresee(world, side)
    lines = [f"{night.name}: would go {side.value} ({why})", *(f"  {one}" for one in report.outcomes)]
    told = {
        "environment": night.name,
        "side": side.value,
        "why": why,
        "outcomes": [_outcome(one) for one in report.outcomes],
    }
    return CommandResult(told, "\n".join(lines))


def _cancelled(opts: Mapping[str, Any], night: OffHoursEnvironment, at: datetime) -> CommandResult:
    """It ends now, which is a change of state of its own: what should be off goes off with the next run."""
    before = records(opts).read(night.name).keep
    if before is None or before.until <= at:
        return CommandResult({"environment": night.name, "keep": None}, f"{night.name} was not kept on by anybody")
    records(opts).change(night.name, lambda record: replace(record, keep=replace(before, until=at)))
    return CommandResult(
        {"environment": night.name, "keep": None},
        f"{night.name} is not kept on any more; it was {wording.kept(night.hours, before)}",
    )


def _told(night: OffHoursEnvironment, found: DueChange, at: datetime) -> dict[str, Any]:
    after = following(night.hours, at)
    return {
        "environment": night.name,
        "side": found.moment.side.value,
        "since": found.moment.at.isoformat(),
        "due": found.side.value if found.side else None,
        "why": found.why,
        "next": f"{after.side.value} {wording.at(night.hours, after.at)}",
    }


def _lines(
    night: OffHoursEnvironment, record: OffHoursRecord, found: DueChange, told: Mapping[str, Any], at: datetime
) -> list[str]:
    lines = [
        f"{night.name}: {found.moment.side.value} since {wording.at(night.hours, found.moment.at)} by its hours ({found.why})"
    ]
    lines.append(f"next: {told['next']}")
    if record.keep and record.keep.until > at:
        lines.append(wording.kept(night.hours, record.keep))
    if record.last:
        how = "done" if record.last.ok else f"not done: {record.last.said}"
        lines.append(
            f"last: {record.last.side.value} {wording.at(night.hours, record.last.at)} by {record.last.by}: {how}"
        )
    if told["lock"]:
        lines.append(f"locked by {told['lock']}")
    width = max(map(len, told["things"]), default=0)
    for name, one in told["things"].items():
        note = f"never touched: {one['never']}" if one["never"] else "opted out" if one["opted_out"] else ""
        lines.append(f"  {name:<{width}}  {one['id']}  {one['state']}  {note}".rstrip())
    return lines


def _kept(keep: KeepOn | None) -> dict[str, Any] | None:
    return {"until": keep.until.isoformat(), "by": keep.by, "reason": keep.reason} if keep else None


def _outcome(one: switch.SwitchOutcome) -> dict[str, Any]:
    return {"turn": one.turn, "name": one.name, "came": one.came.value, "why": one.why}


def _now() -> datetime:
    return datetime.now(timezone.utc)
