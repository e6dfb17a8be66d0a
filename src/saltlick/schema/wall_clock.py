"""What the clock on the wall of a time zone shows, and when it shows it.

Summer time makes two kinds of times that need a rule. A time that the clock jumps over (02:30 on a night in March) happens at
the instant of the jump. A time that the clock shows twice happens when it is shown first.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo

ISO = "2026-11-27T22:00"
"""How a moment is written, for messages."""
_ISO = re.compile(
    r"(?P<local>\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2})?)(\.(?P<fraction>\d{1,6}))?(?P<offset>[Zz]|[+-]\d{2}(:?\d{2})?)?",
    re.ASCII,
)


def first_instant(local: datetime, zone: tzinfo) -> datetime:
    """The first instant (UTC) at which the zone's clock shows this time (naive) or has jumped over it.

    Raises: OverflowError at the ends of the calendar.
    """
    instant = local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
    if shown_at(instant, zone) == local:
        return instant
    return _jump(local, zone, before=local.replace(tzinfo=zone, fold=1).astimezone(timezone.utc), after=instant)


def next_instant(local: datetime, zone: tzinfo, now: datetime) -> datetime | None:
    """The first instant after `now` at which the clock shows this time, be it for the second time; None when it is over."""
    second = local.replace(tzinfo=zone, fold=1).astimezone(timezone.utc)
    instants = [first_instant(local, zone), *([second] if shown_at(second, zone) == local else [])]
    return next((instant for instant in instants if instant > now), None)


def shown_at(instant: datetime, zone: tzinfo) -> datetime:
    """What the zone's clock shows at an instant, as a naive time."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def moment(text: str, zone: tzinfo, *, now: datetime | None = None) -> datetime | None:
    """A moment in ISO 8601 as an instant (UTC): a day and a time, in the zone where no offset stands behind it.

    A time that the clock shows twice is the first one after `now`, else the first. None for anything else, also for a day alone:
    it does not say whether its begin or its end is meant.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    try:
        local = datetime.fromisoformat(match["local"].upper())
        local += timedelta(microseconds=int((match["fraction"] or "").ljust(6, "0")))
        if match["offset"]:
            return local.replace(tzinfo=_offset(match["offset"])).astimezone(timezone.utc)
        return (next_instant(local, zone, now) if now else None) or first_instant(local, zone)
    except (ValueError, OverflowError):
        return None


def _offset(text: str) -> timezone:
    """Raises: ValueError for a day and more."""
    if text in "Zz":
        return timezone.utc
    digits = text[1:].replace(":", "").ljust(4, "0")
    if int(digits[2:]) > 59:
        raise ValueError(text)
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _jump(local: datetime, zone: tzinfo, *, before: datetime, after: datetime) -> datetime:
    """The second at which the clock jumps over `local`, between an instant before the jump and one after it."""
    early, late = int(before.timestamp()), int(after.timestamp())
    while late - early > 1:
        middle = (early + late) // 2
        if shown_at(datetime.fromtimestamp(middle, timezone.utc), zone) < local:
            early = middle
        else:
            late = middle
    return datetime.fromtimestamp(late, timezone.utc)
