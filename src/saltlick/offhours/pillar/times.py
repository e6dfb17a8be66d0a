"""Hours of the week and days, as Cloud Custodian can act on them: whole hours only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StrictStr, WithJsonSchema

from saltlick.schema.calendar import DAYS, days_of, freeze
from saltlick.schema.problems import shown

_HOUR = re.compile(r"(?:(\S+)\s+)?(\d{1,2}):(\d{2})", re.ASCII)
_ZONE = re.compile(r"UTC|[A-Z]\w*(/[A-Za-z][\w+-]*)+")
LONGEST_SPAN = 366


@dataclass(frozen=True, slots=True)
class Hour:
    """One whole hour of certain days (0 is Monday)."""

    days: frozenset[int]
    hour: int

    def __str__(self) -> str:
        return f"{_days(self.days)} {self.hour:02}:00"


def hour(value: Any) -> Hour:
    """`Mon-Fri 19:00`, `Sat,Sun 08:00`, `19:00` (each day).

    Raises:
        ValueError: in words, when it is none of these.
    """
    if isinstance(value, Hour):
        return value
    match = _HOUR.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{shown(value)} is not an hour of the week (write it like 'Mon-Fri 19:00'){_hint(value)}")
    if int(match[2]) > 23:
        raise ValueError(f"{value} is past the end of a day: hours go from 00:00 to 23:00")
    if int(match[3]):
        raise ValueError(f"{value} is not a whole hour, and Cloud Custodian acts by the hour")
    return Hour(frozenset(days_of(match[1])) if match[1] else frozenset(range(7)), int(match[2]))


def _hint(value: Any) -> str:
    """What an hour has become that YAML 1.1 did not take for text."""
    if isinstance(value, str) or value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return "; put it in quotes: without, 19:00 is a number to YAML"
    return "; put it in quotes"


def days(values: Any) -> tuple[date, ...]:
    """Days, and spans of days like `2026-12-24..2027-01-03`, one by one and in order.

    Raises:
        ValueError: in words, for what is neither.
    """
    listed = values if isinstance(values, (list, tuple)) else (values,)
    days: set[date] = set()
    for value in listed:
        if isinstance(value, datetime):
            raise ValueError(f"{value} is a time, and whole days are skipped (write 2026-12-24)")
        span = freeze("" if value is None else str(value))
        if (count := (span.last - span.first).days + 1) > LONGEST_SPAN:
            raise ValueError(f"{value} is {count} days: more than a year")
        days |= {span.first + timedelta(days=number) for number in range(count)}
    return tuple(sorted(days))


def _zone(value: str) -> str:
    """Short names are left out: Custodian takes EST for New York with its summer time, the time zone database does not."""
    if not _ZONE.fullmatch(value):
        raise ValueError(f"{shown(value)} is not the name of a time zone (write it like Europe/Berlin, or UTC)")
    return value


def _days(days: frozenset[int]) -> str:
    """`Mon-Fri`, `Sat,Sun`."""
    numbers = sorted(days)
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{DAYS[numbers[0]]}-{DAYS[numbers[-1]]}"
    return ",".join(DAYS[number] for number in numbers)


_HOUR_SCHEMA = WithJsonSchema({"type": "string", "examples": ["Mon-Fri 19:00"], "pattern": r"^(\S+\s+)?\d{1,2}:00$"})
_DAYS_SCHEMA: dict[str, Any] = {"type": "string", "examples": ["2026-12-24", "2026-12-24..2027-01-03"]}

HourOfWeek = Annotated[Hour, BeforeValidator(hour), PlainSerializer(str, return_type=str), _HOUR_SCHEMA]
Days = Annotated[tuple[date, ...], BeforeValidator(days), WithJsonSchema({"type": "array", "items": _DAYS_SCHEMA})]
ZoneName = Annotated[StrictStr, AfterValidator(_zone)]
