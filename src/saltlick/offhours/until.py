"""Until when somebody wants an environment kept on, as it was typed."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from saltlick.errors import InvalidInput, Problem
from saltlick.offhours.pillar import OffHours
from saltlick.schema.problems import shown

LONGEST = timedelta(days=31)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_MINUTES = re.compile(r"\d{1,4}")
DAY_MINUTES = 24 * 60


def instant(text: str, hours: OffHours, now: datetime) -> datetime:
    """`22:00` (in the environment's zone, the next one there is), or ISO 8601 (in that zone too, where it names none).

    Raises: InvalidInput for anything else, for what is over, and for more than a month.
    """
    zone = ZoneInfo(hours.timezone)
    moment = _clock(text, now.astimezone(zone)) or _iso(text, zone)
    if moment is None:
        raise _wrong(f"{shown(text)} is not a time (write it like 22:00 or 2026-11-27T22:00)")
    if moment <= now:
        raise _wrong(f"{shown(text)} is over: it is {now.astimezone(zone):%Y-%m-%d %H:%M} in {hours.timezone}")
    if moment - now > LONGEST:
        raise _wrong(f"{shown(text)} is more than {LONGEST.days} days away; to keep it on for good, change its pillar")
    return moment


def _clock(text: str, now: datetime) -> datetime | None:
    """YAML takes 22:00 for a number in base 60: what came that way is minutes."""
    match = _CLOCK.fullmatch(text)
    minutes = int(match[1]) * 60 + int(match[2]) if match else int(text) if _MINUTES.fullmatch(text) else DAY_MINUTES
    if minutes >= DAY_MINUTES or (match and int(match[2]) > 59):
        return None
    today = now.replace(hour=minutes // 60, minute=minutes % 60, second=0, microsecond=0, fold=0)
    at = today.astimezone(timezone.utc)
    return at if at > now else (today + timedelta(days=1)).astimezone(timezone.utc)


def _iso(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(timezone.utc)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput([Problem("until", message)], what="arguments")
