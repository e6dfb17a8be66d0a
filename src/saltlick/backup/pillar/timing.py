"""Times as a crontab has them, and durations."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from croniter import CroniterBadDateError, croniter

from saltlick.schema.problems import shown

_RANDOM = re.compile(r"(^|[\s,])[hr]", re.IGNORECASE)
"""Croniter's own words for a time of its choice, which is another one whenever it is asked."""


def cron(text: str) -> str:
    """The text, if it is five fields that a crontab takes and that come to pass.

    Raises: ValueError.
    """
    if len(text.split()) != 5 or _RANDOM.search(text) or not croniter.is_valid(text):
        raise ValueError(f"{shown(text)} is not a time as in a crontab (write it like 0 2 * * *)")
    try:
        croniter(text, datetime.now(timezone.utc)).get_next()
    except CroniterBadDateError as error:
        raise ValueError(f"{shown(text)} never comes to pass: no month has that day") from error
    return text


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
