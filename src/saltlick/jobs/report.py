"""What an operator sees of the history of jobs: a table, and the same as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

from saltlick import terminal
from saltlick.jobs.history import DIED, UNDER_WAY, JobEntry

HEADS = ("began", "took", "job", "detail", "by", "outcome", "")
GOOD = {"done", "unchanged"}
REASON = 100
"""So many characters of a reason are shown; `--out=json` has it whole."""


def table_data(entries: Sequence[JobEntry]) -> list[dict[str, Any]]:
    """The jobs as plain data, newest first. Times are seconds since the epoch."""
    return [dataclasses.asdict(entry) for entry in entries]


def table(entries: Sequence[JobEntry], *, now: float, zone: tzinfo, colour: bool) -> str:
    """A line per job, in the order in which they began: the newest is last, next to the prompt."""
    if not entries:
        return "No job yet."
    ordered = sorted(entries, key=lambda entry: entry.number)
    rows = [_row(entry, now, zone) for entry in ordered]
    return "\n".join(terminal.table(HEADS, rows, marks=list(map(_mark, ordered)), right=(1,), colour=colour))


def _mark(entry: JobEntry) -> str:
    return "+" if entry.outcome in GOOD else "…" if entry.outcome == UNDER_WAY else "✗"


def _row(entry: JobEntry, now: float, zone: tzinfo) -> tuple[str, ...]:
    began = datetime.fromtimestamp(entry.began, zone)
    return (
        f"{began:%a %Y-%m-%d %H:%M:%S}",
        _took(entry, now),
        f"{entry.feature} {entry.action}",
        _one_line(entry.detail),
        entry.user,
        entry.outcome,
        _one_line(entry.reason),
    )


def _took(entry: JobEntry, now: float) -> str:
    if entry.outcome == DIED:
        return "?"
    seconds = (entry.ended if entry.ended is not None else now) - entry.began
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _one_line(text: str) -> str:
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= REASON else f"{line[: REASON - 1]}…"
