"""Times as a crontab has them, and durations."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from croniter import croniter

from saltlick.schema.problems import shown


def cron(text: str) -> str:
    """The text, if it is five fields that a crontab takes."""
    if len(text.split()) != 5 or not croniter.is_valid(text):
        raise ValueError(f"{shown(text)} is not a time as in a crontab (write it like 0 2 * * *)")
    return text


def last_due(text: str, now: datetime) -> datetime:
    """When it was due last, before `now` (aware)."""
    moment: datetime = croniter(text, now).get_prev(datetime)
    return moment


UNITS = {"min": 60, "h": 3600, "d": 86400}


def duration_s(text: Any) -> int:
    """`72h`, `3d` or `90min` in seconds."""
    match = re.fullmatch(r"([1-9]\d{0,5})(min|h|d)", text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"{shown(text)} is not a duration (write it like 72h, 3d or 90min)")
    seconds = int(match[1]) * UNITS[match[2]]
    if not 3600 <= seconds <= 366 * 86400:
        raise ValueError(f"{text} is not between 1h and 366d")
    return seconds
