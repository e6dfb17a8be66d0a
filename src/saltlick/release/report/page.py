"""A release as one self-contained HTML page: what managers and colleagues look at afterwards. No script, no network.

What is computed here is plain values; `page.html.j2` beside this file says where they go, and escapes them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerStatus, StepRecord
from saltlick.release.report import lines, page_curves, page_rows, wording
from saltlick.release.report.page_rows import Bar, Group
from saltlick.release.report.timeline import Lane, axis, end_of, lanes, left_outside, ticks
from saltlick.release.report.wording import UTC

_COMMAND = re.compile(r"(salt-run release\.\w+ [^\s();]+(?: \w+=[^\s();]+)*)")
_BEFORE = frozenset({ServerStatus.UNDONE, ServerStatus.WAITING, ServerStatus.SKIPPED})
TONES: Mapping[Result, str] = {
    Result.RUNNING: "busy",
    Result.DONE: "good",
    Result.UNCHANGED: "good",
    Result.PARTIAL: "warn",
    Result.REFUSED: "warn",
    Result.ROLLED_BACK: "warn",
    Result.STUCK: "bad",
}


def html(record: ReleaseRecord, *, now: float | None = None, zone: tzinfo = UTC) -> str:
    """The page. `now` is for a release that runs, `zone` for the times shown."""
    return _template().render(_values(record, now, zone))


@cache
def _template() -> jinja2.Template:
    here = jinja2.FileSystemLoader(Path(__file__).parent)
    made = jinja2.Environment(
        loader=here, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"clean": wording.clean, "first_line": wording.first_line}
    return made.get_template("page.html.j2")


def _values(record: ReleaseRecord, now: float | None, zone: tzinfo) -> dict[str, Any]:
    server_lanes = lanes(record, now)
    line = axis(record, server_lanes, now)
    end, outside = end_of(record, now), set(left_outside(record, now))
    seen = page_curves.counts(record, line, end)
    return {
        "record": record,
        "tone": TONES[record.result],
        "headline": wording.headline(record),
        "sha": wording.short(record.sha),
        "from_to": wording.from_to(record),
        "before": [(wording.short(sha), number) for sha, number in wording.previous(record).items()],
        "facts": _facts(record, end, zone),
        "figures": _figures(record, server_lanes, end, now),
        "failed": [(step, lines.title(step)) for step in wording.failed(record)][:8],
        "outside": [server for server in record.servers if server.name in outside],
        "advice": [_sentence(wording.clean(sentence)) for sentence in wording.advice(record)],
        "not_undone": wording.not_undone(record),
        "strip": _strip(record, end, zone),
        "groups": page_rows.rows(record, server_lanes, line, seen, zone)
        if page_rows.worth_drawing(server_lanes)
        else [],
        "sum": page_curves.total(seen, record),
        "ticks": [(line.at(moment), wording.clock(moment, zone)) for moment in ticks(line)],
        "grid": page_rows.grid(line),
        "folds": [(left, right - left, wording.took(stop - begin)) for begin, stop, left, right in line.folds],
        "legend": page_rows.legend(server_lanes),
        "counted": bool(record.requests),
        "dense": len(record.servers) >= page_curves.DENSE,
        "steps": _steps(record, zone),
        "clock": lambda moment: wording.clock(moment, zone),
        "took": wording.took,
        "count": wording.count,
        "zone": wording.zone_name(record.started, zone),
    }


def _sentence(text: str) -> list[tuple[bool, str]]:
    """A sentence in parts: the commands in it are True."""
    return [(bool(place % 2), part) for place, part in enumerate(_COMMAND.split(text)) if part]


def _facts(record: ReleaseRecord, end: float, zone: tzinfo) -> list[tuple[str, str]]:
    named = wording.zone_name(record.started, zone)
    began = f"{wording.day(record.started, zone)[:10]} {wording.clock(record.started, zone)}"
    when = (
        f"{began} {named}, still running" if record.ended is None else f"{began} to {wording.clock(end, zone)} {named}"
    )
    asked = "" if record.sha.startswith(record.rev) else f", asked for as {record.rev}"
    facts = [
        ("Who", f"{record.who} on {record.host}"),
        ("When", when),
        ("Revision", f"{record.sha}{asked}"),
        ("Servers", f"{wording.count(len(record.servers), 'server')} of {record.group}"),
        ("Strategy", f"{record.strategy.replace('_', ' ')}, {wording.count(wording.batches(record), 'batch')}"),
        ("Release", record.id),
        ("Salt job", record.job),
    ]
    return [(name, wording.clean(value)) for name, value in facts if value]


def _figures(
    record: ReleaseRecord, server_lanes: Sequence[Lane], end: float, now: float | None
) -> list[tuple[str, str, str]]:
    """The large numbers: what, how much, and a remark."""
    total = len(server_lanes)
    done = sum(server.standing is ServerStatus.DONE for server in record.servers)
    outside = len(left_outside(record, now))
    left = f"{outside} out of traffic" if outside else "none left out"
    back = sum(server.standing in _BEFORE for server in record.servers)
    figures = [("On the new revision", f"{done} of {total}", left)]
    if record.result is Result.UNCHANGED:
        figures = [("On the revision", f"{total} of {total}", left)]
    elif record.result in (Result.ROLLED_BACK, Result.STUCK, Result.REFUSED):
        figures = [("On what they ran before", f"{back} of {total}", left)]
    figures.append(("Duration", wording.took(end - record.started), "so far" if record.ended is None else ""))
    away = [lane.away_s for lane in server_lanes if lane.away_s]
    if away:
        longest = max(server_lanes, key=lambda lane: lane.away_s).server.name
        figures.append(("Out of traffic, longest", wording.took(max(away)), longest))
    if away and record.looks.count:
        looks = wording.count(record.looks.count, "look")
        figures.append(("In traffic, fewest", f"{record.looks.fewest} of {total}", f"in {looks} at the balancer"))
    if record.requests:
        seen = sum(number for _, second, number in record.requests if record.started <= second <= end)
        figures.append(("Requests meanwhile", f"{seen:,}".replace(",", "\u202f"), "seen by the servers"))
    return figures


# The strip: the release from end to end.


def _strip(record: ReleaseRecord, end: float, zone: tzinfo) -> list[Bar]:
    """What the release did from its start to its end, each stage a bar of the strip."""
    stages: list[tuple[str, float, float]] = []
    for step in sorted(record.steps, key=lambda step: (step.started, step.number)):
        name, stop = _stage(step), end if step.ended is None else step.ended
        if stages and stages[-1][0] == name:
            stages[-1] = (name, stages[-1][1], max(stop, stages[-1][2]))
        else:
            stages.append((name, step.started, stop))
    whole = max(end - record.started, 0.001)
    bars = []
    for name, start, stop in stages:
        left, right = ((moment - record.started) / whole * 100 for moment in (start, stop))
        title = f"{name}: {wording.took(stop - start)}, from {wording.clock(start, zone)}"
        bars.append(Bar(name, left, max(right - left, 0.0), title))
    return bars


def _stage(step: StepRecord) -> str:
    if step.undo:
        return "undo"
    if step.phase is Phase.WAIT:
        return "wait"
    if step.batch:
        return f"batch {step.batch}"
    return {Phase.ONCE: "once", Phase.HOOK: "hooks"}.get(step.phase, wording.PHASES[step.phase])


# The steps, to unfold.


def _steps(record: ReleaseRecord, zone: tzinfo) -> list[Group]:
    groups: dict[str, list[StepRecord]] = {}
    for step in sorted(record.steps, key=lambda step: (step.started, step.number)):
        groups.setdefault(_heading(step, "Batch" in "".join(groups), record), []).append(step)
    return [
        Group(
            title,
            f"{wording.count(len(steps), 'step')}, {wording.took(_length(steps))}",
            tuple(_step(step, zone) for step in steps),
            sum(step.ok is False for step in steps),
        )
        for title, steps in groups.items()
    ]


def _heading(step: StepRecord, batches_began: bool, record: ReleaseRecord) -> str:
    if step.undo:
        return "Undo"
    if step.batch:
        return f"Batch {step.batch} of {wording.batches(record)}"
    return "After the batches" if batches_began else "Before the first batch"


def _length(steps: Sequence[StepRecord]) -> float:
    return max(step.ended or step.started for step in steps) - min(step.started for step in steps)


def _step(step: StepRecord, zone: tzinfo) -> Mapping[str, Any]:
    detail = wording.clean(step.detail).strip()
    first = wording.first_line(detail)
    return {
        "time": wording.clock(step.started, zone),
        "server": wording.clean(step.server) or "all",
        "title": lines.title(step),
        "took": "" if step.ended is None else wording.took(step.ended - step.started),
        "result": {None: "running", True: "ok", False: "failed"}[step.ok],
        "tone": {None: "busy", True: "good", False: "bad"}[step.ok],
        "first": first if len(first) <= 200 else f"{first[:199]}…",
        "rest": detail if detail != first or len(first) > 200 else "",
    }
