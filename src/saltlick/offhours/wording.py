"""How moments, keeps and durations are said to people: in the environment's own clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from saltlick.offhours.due import KeepOn
from saltlick.offhours.pillar import OffHours


def at(hours: OffHours, when: datetime) -> str:
    """`Fri 2026-11-27 19:00 (Europe/Berlin)`."""
    return f"{when.astimezone(ZoneInfo(hours.timezone)):%a %Y-%m-%d %H:%M} ({hours.timezone})"


def kept(hours: OffHours, keep: KeepOn) -> str:
    """`kept on until … by ann: the release party`."""
    who = f" by {keep.by}" if keep.by else ""
    return f"kept on until {at(hours, keep.until)}{who}" + (f": {keep.reason}" if keep.reason else "")
