"""Who is told what now: red once, again after `remind_s`, green once; what was not delivered is due at the next run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING

from saltlick.notify import message
from saltlick.notify.condition import RememberedCondition, Severity, TargetRecord

if TYPE_CHECKING:
    from saltlick.notify.apprise_urls import Send
    from saltlick.notify.message import Message
    from saltlick.notify.pillar import Notify, NotifyTarget
    from saltlick.notify.records import NotifyRecords

Address = Callable[[str], str]
"""The address itself of one that may be `sdb://…`. Raises: LookupError, in words without a secret."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one target. `error` says why it was not delivered, empty where it was."""

    target: str
    title: str
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return f"notify {self.target}: not delivered ({self.error}): {self.title}; the next run tries again"
        return f"notify {self.target}: {self.title}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Postman:
    """What a delivery needs: `now` in seconds since the epoch, the zone of the times in messages, the way out."""

    now: float
    zone: tzinfo
    address: Address
    send: Send


def deliver(environment: str, notify: Notify, records: NotifyRecords, postman: Postman) -> tuple[Delivery, ...]:
    """Tell each target what it was not told yet, of everything in the environment. Never raises for what cannot be delivered."""
    with records.alone():
        return tuple(
            delivery
            for remembered in records.states(environment)
            for delivery in _told(remembered, notify, records, postman)
        )


def due(
    remembered: RememberedCondition, record: TargetRecord | None, target: NotifyTarget, remind_s: int, now: float
) -> str:
    """What a target is to be told now: `red`, `again`, `green`, or nothing."""
    condition = remembered.condition
    if remembered.green_at is not None:
        return "green" if record else ""
    if not target.wants(condition.feature, condition.severity):
        return ""
    worse = record and record.severity is Severity.WARNING and condition.severity is Severity.FAILURE
    if record is None or record.told_at is None or worse:
        return "red"
    return "again" if now - record.told_at >= remind_s else ""


def _told(
    remembered: RememberedCondition, notify: Notify, records: NotifyRecords, postman: Postman
) -> Iterator[Delivery]:
    condition, told = remembered.condition, records.told(remembered.condition)
    for name in told.keys() - notify.targets.keys():
        records.forget_target(condition, name)
    for name, target in notify.targets.items():
        record = told.get(name)
        kind = due(remembered, record, target, notify.remind_s, postman.now)
        if not kind:
            continue
        text = _message(kind, remembered, postman.zone)
        error = sent(target, text, postman)
        if kind == "green" and not error:
            records.forget_target(condition, name)
        else:
            records.keep(condition, name, _after(record, condition.severity, error, postman.now))
        yield Delivery(name, text.title, error)
    if remembered.green_at is not None and not records.told(condition):
        records.forget(condition)


def sent(target: NotifyTarget, text: Message, postman: Postman) -> str:
    """Send one message to one target. Returns why it was not delivered, empty where it was."""
    try:
        url = postman.address(target.url.get_secret_value())
    except LookupError as error:
        return str(error.args[0])
    return postman.send(url, text)


def _message(kind: str, remembered: RememberedCondition, zone: tzinfo) -> Message:
    if kind == "green":
        return message.green(remembered, zone)
    return message.red(remembered, zone, again=kind == "again")


def _after(record: TargetRecord | None, severity: Severity, error: str, now: float) -> TargetRecord:
    if not error:
        return TargetRecord(severity=severity, told_at=now)
    return TargetRecord(
        severity=record.severity if record else severity, told_at=record.told_at if record else None, error=error
    )
