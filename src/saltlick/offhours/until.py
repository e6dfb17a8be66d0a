"""Until when somebody wants an environment kept on, as it was typed."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from saltlick.errors import InvalidInput, Problem
from saltlick.offhours.pillar import OffHours
from saltlick.schema import wall_clock
from saltlick.schema.problems import shown

LONGEST = timedelta(days=31)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


def instant(text: str, hours: OffHours, now: datetime) -> datetime:
    """`22:00` (in the environment's zone, the next one there is), or ISO 8601 (in that zone too, where it names none).

    Nothing else is taken for a time: 22 may be an hour or a day, and 1320 is what YAML makes of an unquoted 22:00.

    Raises: InvalidInput for anything else, for what is over, and for more than a month.
    """
    zone = ZoneInfo(hours.timezone)
    moment = _clock(text, zone, now) or wall_clock.moment(text, zone, now=now)
    if moment is None:
        raise _wrong(f"{shown(text)} is not a time (write it like 22:00 or {wall_clock.ISO}; in YAML in quotes)")
    if moment <= now:
        raise _wrong(f"{shown(text)} is over: it is {now.astimezone(zone):%Y-%m-%d %H:%M} in {hours.timezone}")
    if moment - now > LONGEST:
        raise _wrong(f"{shown(text)} is more than {LONGEST.days} days away; to keep it on for good, change its pillar")
    return moment


def _clock(text: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The next instant at which the zone's clock shows that time, or jumps over it."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    today = wall_clock.shown_at(now, zone).date()
    local = datetime.combine(today, time(int(match[1]), int(match[2])))
    instants = (wall_clock.next_instant(local + timedelta(days=number), zone, now) for number in range(3))
    return next(instant for instant in instants if instant)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput([Problem("until", message)], what="arguments")
