"""Days and spans of days, as an operator writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from saltlick.schema.problems import shown

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


_FREEZE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\s*\.\.\s*(\d{4}-\d{2}-\d{2}))?")


@dataclass(frozen=True, slots=True)
class Freeze:
    """Whole days, first and last included."""

    first: date
    last: date

    def has(self, at: datetime) -> bool:
        return self.first <= at.date() <= self.last


def freeze(text: str) -> Freeze:
    """`2026-12-24` or `2026-12-20..2027-01-03`.

    Raises:
        ValueError: in words, when it is none of these.
    """
    match = _FREEZE.fullmatch(text.strip())
    if not match:
        raise ValueError(
            f"{shown(text) or 'an empty text'} is no day and no span of days (write 2026-12-20..2027-01-03)"
        )
    first, last = (_date(day) for day in (match[1], match[2] or match[1]))
    if last < first:
        raise ValueError(f"{text} ends before it begins")
    return Freeze(first, last)


def days_of(text: str) -> Iterator[int]:
    """`Mon-Fri`, `Sat,Sun`, `Fri-Mon`: days as numbers, 0 is Monday.

    Raises:
        ValueError: in words.
    """
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin, end = _day(first, text), _day(last if dash else first, text)
        yield from ((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def _day(name: str, text: str) -> int:
    if name.capitalize() not in DAYS:
        raise ValueError(f"{name or 'nothing'} in {shown(text)} is not a day of the week; there is {', '.join(DAYS)}")
    return DAYS.index(name.capitalize())


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text} is not a day that there is") from error
