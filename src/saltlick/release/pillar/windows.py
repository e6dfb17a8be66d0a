"""When no release may begin: times of the week, and days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from saltlick.release.pillar.model import Windows
from saltlick.schema.calendar import Freeze, days_of, freeze
from saltlick.schema.problems import shown

DAY_MINUTES = 24 * 60

_SPAN = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Weekly:
    """Minutes of certain days (0 is Monday); a span that ends before it begins goes on into the next day."""

    days: frozenset[int]
    first: int
    last: int

    def has(self, at: datetime) -> bool:
        minute = at.hour * 60 + at.minute
        if self.first < self.last:
            return at.weekday() in self.days and self.first <= minute < self.last
        began_yesterday = (at.weekday() - 1) % 7 in self.days and minute < self.last
        return began_yesterday or (at.weekday() in self.days and minute >= self.first)


def denied(windows: Windows | None, at: datetime) -> str:
    """Why no release may begin at that moment (an aware one), in words; empty when it may."""
    if windows is None:
        return ""
    there = at.astimezone(ZoneInfo(windows.timezone))
    deny: list[tuple[str, Weekly | Freeze]] = [(text, weekly(text)) for text in windows.deny]
    spans = [*deny, *((text, freeze(text)) for text in windows.freeze)]
    for text, span in spans:
        if span.has(there):
            return f"it is {there:%a %Y-%m-%d %H:%M} in {windows.timezone}, and the recipe denies {text}"
    return ""


def weekly(text: str) -> Weekly:
    """`Fri 15:00-24:00`, `Sat`, `Mon-Fri`, `Sat,Sun`, `Mon-Fri 22:00-06:00`, `12:00-13:00` (each day).

    Raises:
        ValueError: in words, when it is none of these.
    """
    parts = text.split()
    if not 1 <= len(parts) <= 2 or (len(parts) == 2 and (":" in parts[0] or ":" not in parts[1])):
        raise ValueError(f"{shown(text) or 'an empty text'} is not a time of the week (write it like Fri 15:00-24:00)")
    span = _span(parts[-1]) if ":" in parts[-1] else (0, DAY_MINUTES)
    days = frozenset(days_of(parts[0])) if ":" not in parts[0] else frozenset(range(7))
    return Weekly(days, *span)


def _span(text: str) -> tuple[int, int]:
    match = _SPAN.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is not a span of time (write it like 15:00-24:00)")
    first, last = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if max(int(match[2]), int(match[4])) > 59 or first >= DAY_MINUTES or last > DAY_MINUTES:
        raise ValueError(f"{text} is past the end of a day: times go from 00:00 to 24:00")
    if first == last:
        raise ValueError(f"{text} is no time at all")
    return first, last
