"""Which state an environment should be in at an instant: pure arithmetic over hours of the week, in the zone's own clock.

The rule is a walk along the clock on the wall: each hour happens once, in the order in which the clock counts. So an hour that
summer time skips happens when the clock jumps over it, and where off and on meet in that jump, the later of the two on the clock
wins; one that comes twice happens the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from itertools import groupby
from zoneinfo import ZoneInfo

from saltlick.offhours.pillar import OffHours
from saltlick.schema.wall_clock import first_instant

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
    days = (today + timedelta(days=MARGIN_DAYS - number) for number in range(_reach_days(hours)))
    return next(change for day in days for change in reversed(_of(hours, day)) if change.at <= now)


def following(hours: OffHours, now: datetime) -> ScheduledChange:
    """The first hour at which something is switched after an instant: one that changes the state that is due now."""
    due = last(hours, now).side
    return next(change for change in _forwards(hours, now) if change.at > now and change.side is not due)


def _forwards(hours: OffHours, now: datetime) -> Iterator[ScheduledChange]:
    """Changes in order. Of those at one instant only the last on the clock: nothing is ever in the state of the others."""
    today = now.astimezone(ZoneInfo(hours.timezone)).date()
    days = (today + timedelta(days=number - MARGIN_DAYS) for number in range(_reach_days(hours)))
    changes = (change for day in days for change in _of(hours, day))
    for _, at_once in groupby(changes, key=lambda change: change.at):
        yield tuple(at_once)[-1]


def _reach_days(hours: OffHours) -> int:
    """As far as the next week that no skipped day can touch."""
    return WEEK * (len(hours.skip_days) + 2) + 2 * MARGIN_DAYS


def _of(hours: OffHours, day: date) -> tuple[ScheduledChange, ...]:
    """What happens on a day of the zone's calendar, as the clock counts; nothing on one that is skipped."""
    if day in hours.skip_days:
        return ()
    zone = ZoneInfo(hours.timezone)
    sides = ((hours.off.hour, OnOff.OFF, hours.off.days), (hours.on.hour, OnOff.ON, hours.on.days))
    return tuple(
        ScheduledChange(first_instant(datetime(day.year, day.month, day.day, hour), zone), side)
        for hour, side, days in sorted(sides, key=lambda entry: entry[0])
        if day.weekday() in days
    )
