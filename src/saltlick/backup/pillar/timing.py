"""Times as a crontab has them."""

from __future__ import annotations

from datetime import datetime

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
