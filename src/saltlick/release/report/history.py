"""Releases of the past: a table of them, and everything that is known of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from saltlick.release.journal.record import ReleaseRecord, ServerStatus
from saltlick.release.report import lines, wording
from saltlick.release.report.timeline import end_of, lanes, left_outside
from saltlick.release.report.wording import UTC
from saltlick.terminal import painter
from saltlick.terminal import table as table_lines

REASON = 100
"""So much of a reason is shown in the table; `show` has it whole."""


def table(
    records: Sequence[ReleaseRecord], *, colour: bool = False, zone: tzinfo = UTC, now: float | None = None
) -> str:
    """A line per release, the newest first: when, what, from → to, how long, who, how it came out and why not."""
    if not records:
        return "No release yet."
    newest = sorted(records, key=lambda record: record.started, reverse=True)
    named = wording.zone_name(newest[0].started, zone)
    heads = (f"when ({named})", "revision", "took", "who", "result", "release", "")
    marks = [lines.MARKS[record.result] for record in newest]
    rows = [_row(record, zone, now) for record in newest]
    return "\n".join(table_lines(heads, rows, marks=marks, right=(2,), colour=colour))


def _row(record: ReleaseRecord, zone: tzinfo, now: float | None) -> tuple[str, ...]:
    why = wording.first_line(record.reason) or wording.first_line(record.message)
    return (
        wording.day(record.started, zone),
        f"{wording.from_to(record)}{' (back)' if record.rollback else ''}",
        wording.took(end_of(record, now) - record.started),
        wording.first_line(record.who),
        record.result.value,
        record.id,
        why if len(why) <= REASON else f"{why[: REASON - 1]}…",
    )


def table_data(records: Sequence[ReleaseRecord], *, now: float | None = None) -> list[dict[str, Any]]:
    """The same for machines, the newest first."""
    newest = sorted(records, key=lambda record: record.started, reverse=True)
    return [brief(record, now=now) for record in newest]


def brief(record: ReleaseRecord, *, now: float | None = None) -> dict[str, Any]:
    """One release in plain values, without its steps."""
    return {
        "id": record.id,
        "environment": record.environment,
        "application": record.application,
        "rev": record.rev,
        "sha": record.sha,
        "previous": list(wording.previous(record)),
        "rollback": record.rollback,
        "strategy": record.strategy,
        "who": record.who,
        "host": record.host,
        "job": record.job,
        "message": record.message,
        "started": record.started,
        "ended": record.ended,
        "seconds": round(end_of(record, now) - record.started, 3),
        "outcome": record.result.value,
        "reason": record.reason,
        "out_of_traffic": list(left_outside(record, now)),
        "not_undone": list(wording.not_undone(record)),
        "next": list(wording.advice(record)),
    }


def show(record: ReleaseRecord, *, colour: bool = False, zone: tzinfo = UTC, now: float | None = None) -> str:
    """Everything about one release: the facts, each step, the servers, how it came out and what to do next."""
    paint = painter(colour)
    head = (
        f"{record.id}  {'rollback' if record.rollback else 'release'} of {record.application} on {record.environment}"
    )
    facts = _facts(record, zone, now)
    width = max(len(name) for name, _ in facts)
    steps = list(map(lines.StepFormatter.of(record, colour=colour, zone=zone), record.steps))
    return "\n".join(
        [
            paint("bold", head),
            *(f"  {paint('dim', name.ljust(width))}  {value}" for name, value in facts),
            *(["", *steps] if steps else []),
            "",
            lines.summary(record, colour=colour, now=now),
        ]
    )


def _facts(record: ReleaseRecord, zone: tzinfo, now: float | None) -> list[tuple[str, str]]:
    named = wording.zone_name(record.started, zone)
    length = wording.took(end_of(record, now) - record.started)
    before = ", ".join(
        f"{wording.short(sha)}{f' on {number}' if len(wording.previous(record)) > 1 else ''}"
        for sha, number in wording.previous(record).items()
    )
    facts = [
        ("who", f"{record.who} on {record.host}, job {record.job}"),
        ("when", f"{wording.day(record.started, zone)} {named}, {length}{' so far' if record.ended is None else ''}"),
        ("from", before),
        ("to", f"{record.sha}" + (f" ({record.rev})" if not record.sha.startswith(record.rev) else "")),
        ("how", f"{record.strategy}, {wording.count(len(record.servers), 'server')} of {record.group}"),
        ("message", record.message),
    ]
    return [(name, wording.clean(value).replace("\n", "\n           ")) for name, value in facts if value]


def show_data(record: ReleaseRecord, *, now: float | None = None) -> dict[str, Any]:
    """The same for machines."""
    outside = set(left_outside(record, now))
    return brief(record, now=now) | {
        "servers": {
            lane.server.name: {
                "zone": lane.server.zone,
                "batch": lane.server.batch,
                "previous": lane.server.previous,
                "sha": wording.standing_on(record, lane.server) or None,
                "standing": lane.server.standing.value,
                "in_traffic": lane.server.name not in outside,
                "away_s": round(lane.away_s, 3),
                "detail": lane.server.detail,
            }
            for lane in lanes(record, now)
        },
        "steps": [
            {
                "number": step.number,
                "phase": step.phase.value,
                "name": step.name,
                "server": step.server or None,
                "batch": step.batch or None,
                "undo": step.undo,
                "started": step.started,
                "ended": step.ended,
                "ok": step.ok,
                "detail": step.detail,
            }
            for step in record.steps
        ],
    }


def counts(record: ReleaseRecord) -> Mapping[str, int]:
    """How many servers stand how: for the line on the bus and the webhook."""
    return {standing.value: sum(server.standing is standing for server in record.servers) for standing in ServerStatus}
