"""Which state an environment should be in at an instant: pure arithmetic over hours of the week, in the zone's own clock.

An hour that summer time skips (02:00 on a night in March) happens at the instant when the clock jumps over it; one that comes
twice happens the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from zoneinfo import ZoneInfo

from saltlick.offhours.pillar import OffHours

WEEK = 7
MARGIN_DAYS = 2
"""A day's hours lie within two days of its date, whatever the zone."""


class OnOff(str, Enum):
    """A state, and the way there."""

    OFF = "off"
    ON = "on"

    @property
    def other(self) -> OnOff:
        return OnOff.ON if self is OnOff.OFF else OnOff.OFF


@dataclass(frozen=True, slots=True)
class ScheduledChange:
    """From this instant (aware, UTC) the environment should be off, or on."""

    at: datetime
    side: OnOff


def last(hours: OffHours, now: datetime) -> ScheduledChange:
    """The latest change of state at or before an instant. There always is one: an hour comes back each week."""
    today = now.astimezone(ZoneInfo(hours.timezone)).date()
    return next(change for change in _backwards(hours, today) if change.at <= now)


def following(hours: OffHours, now: datetime) -> ScheduledChange:
    """The first hour at which something is switched after an instant: one that changes the state that is due now."""
    due = last(hours, now).side
    today = now.astimezone(ZoneInfo(hours.timezone)).date()
    return next(change for change in _forwards(hours, today) if change.at > now and change.side is not due)


def _backwards(hours: OffHours, today: date) -> Iterator[ScheduledChange]:
    reach = WEEK + MARGIN_DAYS + len(hours.skip_days)
    days = (today + timedelta(days=MARGIN_DAYS - number) for number in range(MARGIN_DAYS + 1 + 2 * reach))
    for day in days:
        yield from sorted(_of(hours, day), key=lambda change: change.at, reverse=True)


def _forwards(hours: OffHours, today: date) -> Iterator[ScheduledChange]:
    reach = WEEK + MARGIN_DAYS + len(hours.skip_days)
    for number in range(-MARGIN_DAYS, 2 * reach):
        yield from sorted(_of(hours, today + timedelta(days=number)), key=lambda change: change.at)


def _of(hours: OffHours, day: date) -> Iterator[ScheduledChange]:
    """What happens on a day of the zone's calendar; nothing on one that is skipped."""
    if day in hours.skip_days:
        return
    for side, when in ((OnOff.OFF, hours.off), (OnOff.ON, hours.on)):
        if day.weekday() in when.days:
            local = datetime(day.year, day.month, day.day, when.hour, tzinfo=ZoneInfo(hours.timezone))
            yield ScheduledChange(local.astimezone(timezone.utc), side)
