"""Times as a crontab has them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

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
