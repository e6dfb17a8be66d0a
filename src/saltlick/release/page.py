"""A release as one self-contained HTML page: what managers and colleagues look at afterwards. No script, no network.

What is computed here is plain values; `page.html.j2` beside this file says where they go, and escapes them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from saltlick.release import lines, words
from saltlick.release.record import Phase, ReleaseRecord, Result, ServerRecord, Standing, StepRecord
from saltlick.release.timeline import (
    Axis,
    Lane,
    Span,
    State,
    axis,
    end_of,
    fewest_serving,
    lanes,
    left_outside,
    ticks,
)
from saltlick.release.words import UTC

_COMMAND = re.compile(r"(salt-run release\.\w+ [^\s();]+(?: \w+=[^\s();]+)*)")
_BEFORE = frozenset({Standing.UNDONE, Standing.WAITING, Standing.SKIPPED})
_NOBODY_KNOWS = frozenset({Standing.TOUCHED, Standing.LEFT_OUT})
DENSE = 40
"""From so many servers on, rows are low."""
BINS = 240
DENSE_BINS = 60
"""Points of a server's requests curve."""

TONES: Mapping[Result, str] = {
    Result.RUNNING: "busy",
    Result.DONE: "good",
    Result.UNCHANGED: "good",
    Result.PARTIAL: "warn",
    Result.REFUSED: "warn",
    Result.ROLLED_BACK: "warn",
    Result.STUCK: "bad",
}
STATES: Mapping[State, str] = {
    State.OLD: "serves what it served before",
    State.BUILD: "builds, and serves",
    State.DRAIN: "drains: still answering",
    State.DOWN: "down: stop, switch, start",
    State.HEALTH: "up, and its health watched",
    State.BACK: "back: the balancer agrees",
    State.NEW: "serves the new revision",
    State.OUT: "left out of traffic",
}
SHORT: Mapping[State, str] = {
    State.DRAIN: "drain",
    State.DOWN: "down",
    State.HEALTH: "health",
    State.BACK: "back",
    State.BUILD: "build",
    State.OUT: "left out of traffic",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One coloured stretch of a row; `left` and `width` in percent of it."""

    kind: str
    left: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """One server of the time line."""

    name: str
    zone: str
    bars: tuple[Bar, ...]
    crosses: tuple[Bar, ...]
    curve: str
    away: str
    now_on: str
    stands: str
    detail: str
    tone: str
    told: str
    """What the bars show, for those who do not see them."""


@dataclass(frozen=True, slots=True)
class Group:
    """Steps, or rows, under one heading."""

    title: str
    note: str
    items: tuple[Any, ...]
    failed: int = 0


def html(record: ReleaseRecord, *, now: float | None = None, zone: tzinfo = UTC) -> str:
    """The page. `now` is for a release that runs, `zone` for the times shown."""
    return _template().render(_values(record, now, zone))


@cache
def _template() -> jinja2.Template:
    here = jinja2.FileSystemLoader(Path(__file__).parent)
    made = jinja2.Environment(
        loader=here, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"clean": words.clean, "first_line": words.first_line}
    return made.get_template("page.html.j2")


def _values(record: ReleaseRecord, now: float | None, zone: tzinfo) -> dict[str, Any]:
    found = lanes(record, now)
    line = axis(record, found, now)
    end, outside = end_of(record, now), set(left_outside(record, now))
    counts = _counts(record, line, end)
    return {
        "record": record,
        "tone": TONES[record.result],
        "headline": words.headline(record),
        "sha": words.short(record.sha),
        "from_to": words.from_to(record),
        "before": [(words.short(sha), number) for sha, number in words.previous(record).items()],
        "facts": _facts(record, end, zone),
        "figures": _figures(record, found, end, now),
        "failed": [(step, lines.title(step)) for step in words.failed(record)][:8],
        "outside": [server for server in record.servers if server.name in outside],
        "advice": [_sentence(words.clean(sentence)) for sentence in words.advice(record)],
        "not_undone": words.not_undone(record),
        "strip": _strip(record, end, zone),
        "groups": _rows(record, found, line, counts, zone) if _worth_drawing(found) else [],
        "sum": _total(counts, record),
        "ticks": [(line.at(moment), words.clock(moment, zone)) for moment in ticks(line)],
        "grid": _grid(line),
        "folds": [(left, right - left, words.took(stop - begin)) for begin, stop, left, right in line.folds],
        "legend": _legend(found),
        "counted": bool(record.requests),
        "dense": len(record.servers) >= DENSE,
        "steps": _steps(record, zone),
        "clock": lambda moment: words.clock(moment, zone),
        "took": words.took,
        "count": words.count,
        "zone": words.zone_name(record.started, zone),
    }


def _sentence(text: str) -> list[tuple[bool, str]]:
    """A sentence in parts: the commands in it are True."""
    return [(bool(place % 2), part) for place, part in enumerate(_COMMAND.split(text)) if part]


def _facts(record: ReleaseRecord, end: float, zone: tzinfo) -> list[tuple[str, str]]:
    named = words.zone_name(record.started, zone)
    began = f"{words.day(record.started, zone)[:10]} {words.clock(record.started, zone)}"
    when = f"{began} {named}, still running" if record.ended is None else f"{began} to {words.clock(end, zone)} {named}"
    asked = "" if record.sha.startswith(record.rev) else f", asked for as {record.rev}"
    found = [
        ("Who", f"{record.who} on {record.host}"),
        ("When", when),
        ("Revision", f"{record.sha}{asked}"),
        ("Servers", f"{words.count(len(record.servers), 'server')} of {record.group}"),
        ("Strategy", f"{record.strategy.replace('_', ' ')}, {words.count(words.batches(record), 'batch')}"),
        ("Release", record.id),
        ("Salt job", record.job),
    ]
    return [(name, words.clean(value)) for name, value in found if value]


def _figures(record: ReleaseRecord, found: Sequence[Lane], end: float, now: float | None) -> list[tuple[str, str, str]]:
    """The large numbers: what, how much, and a remark."""
    total = len(found)
    done = sum(server.standing is Standing.DONE for server in record.servers)
    outside = len(left_outside(record, now))
    left = f"{outside} out of traffic" if outside else "none left out"
    back = sum(server.standing in _BEFORE for server in record.servers)
    figures = [("On the new revision", f"{done} of {total}", left)]
    if record.result is Result.UNCHANGED:
        figures = [("On the revision", f"{total} of {total}", left)]
    elif record.result in (Result.ROLLED_BACK, Result.STUCK, Result.REFUSED):
        figures = [("On what they ran before", f"{back} of {total}", left)]
    figures.append(("Duration", words.took(end - record.started), "so far" if record.ended is None else ""))
    away = [lane.away_s for lane in found if lane.away_s]
    if away:
        longest = max(found, key=lambda lane: lane.away_s).server.name
        figures.append(("Out of traffic, longest", words.took(max(away)), longest))
        figures.append(("In traffic, fewest", f"{fewest_serving(found)} of {total}", "at any moment"))
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
        title = f"{name}: {words.took(stop - start)}, from {words.clock(start, zone)}"
        bars.append(Bar(name, left, max(right - left, 0.0), title))
    return bars


def _stage(step: StepRecord) -> str:
    if step.undo:
        return "undo"
    if step.phase is Phase.WAIT:
        return "wait"
    if step.batch:
        return f"batch {step.batch}"
    return {Phase.ONCE: "once", Phase.HOOK: "hooks"}.get(step.phase, words.PHASES[step.phase])


# The time line: a row per server.


def _worth_drawing(found: Sequence[Lane]) -> bool:
    """Whether any server did more than serve as before."""
    return any(span.state is not State.OLD for lane in found for span in lane.spans)


def _rows(
    record: ReleaseRecord, found: Sequence[Lane], line: Axis, counts: Mapping[str, Sequence[float]], zone: tzinfo
) -> list[Group]:
    highest = max((max(curve) for curve in counts.values() if curve), default=0.0) or 1.0
    outside = set(left_outside(record))
    by_batch: dict[int, list[Row]] = {}
    for lane in found:
        curve = _area(counts.get(lane.server.name, ()), highest)
        row = _row(record, lane, line, curve, lane.server.name in outside, zone)
        by_batch.setdefault(lane.server.batch, []).append(row)
    return [
        Group(
            f"Batch {batch} of {words.batches(record)}" if batch else "In no batch",
            words.count(len(rows), "server"),
            tuple(rows),
        )
        for batch, rows in sorted(by_batch.items())
    ]


def _row(record: ReleaseRecord, lane: Lane, line: Axis, curve: str, outside: bool, zone: tzinfo) -> Row:
    server = lane.server
    spans = [span for span in lane.spans if span.end >= line.start and span.start <= line.end]
    crosses = [step for span in lane.spans for step in span.steps if step.ok is False]
    now_on = words.standing_on(record, server)
    return Row(
        name=words.clean(server.name),
        zone=words.clean(server.zone),
        bars=tuple(_bar(span, line, zone) for span in spans),
        crosses=tuple(_cross(step, line, zone) for step in crosses if line.start <= (step.ended or 0) <= line.end),
        curve=curve,
        away=words.took(lane.away_s) if lane.away_s else "",
        now_on=words.short(now_on) if server.standing not in _NOBODY_KNOWS else "unknown",
        stands=lines.stands(record, server, outside),
        detail=words.first_line(server.detail),
        tone=_tone(server, outside),
        told=_told(lane),
    )


def _bar(span: Span, line: Axis, zone: tzinfo) -> Bar:
    left, right = line.at(span.start), line.at(span.end)
    on_the_way_back = span.undo and span.state not in (State.OLD, State.NEW, State.OUT)
    kind = f"{span.state.value}{' undo' if on_the_way_back else ''}"
    said = "; ".join(dict.fromkeys(words.first_line(step.detail) for step in span.steps if step.detail))
    when = f"{words.clock(span.start, zone)} to {words.clock(span.end, zone)}"
    title = f"{'Undo: ' if on_the_way_back else ''}{STATES[span.state]}, {words.took(span.seconds)} ({when})"
    return Bar(kind, left, max(right - left, 0.0), f"{title}\n{said[:300]}".rstrip())


def _cross(step: StepRecord, line: Axis, zone: tzinfo) -> Bar:
    moment = step.ended or step.started
    title = f"{lines.title(step)} failed at {words.clock(moment, zone)}: {words.first_line(step.detail)[:300]}"
    return Bar("cross", line.at(moment), 0.0, title)


def _told(lane: Lane) -> str:
    """`drain 1.8 s, down 1.1 s, health 2.6 s, back 2.8 s; undo: drain …`."""
    ways = []
    for undo in (False, True):
        spans = [span for span in lane.walked if span.undo is undo]
        if spans:
            walk = ", ".join(f"{SHORT[span.state]} {words.took(span.seconds)}" for span in spans)
            ways.append(f"undo: {walk}" if undo else walk)
    return "; ".join(ways) or "in traffic all the time"


def _tone(server: ServerRecord, outside: bool) -> str:
    if outside:
        return "bad"
    return {Standing.DONE: "good", Standing.UNDONE: "undone", Standing.TOUCHED: "busy"}.get(server.standing, "calm")


def _legend(found: Sequence[Lane]) -> list[tuple[str, str]]:
    """The states that occur, in the order of a walk; the way back once."""
    there = {
        (span.state, span.undo and span.state not in (State.OLD, State.NEW, State.OUT))
        for lane in found
        for span in lane.spans
    }
    legend = [(state.value, STATES[state]) for state in State if (state, False) in there]
    if any(undo for _, undo in there):
        legend.append(("undo-all", "the same on the way back"))
    if any(step.ok is False for lane in found for span in lane.spans for step in span.steps):
        legend.append(("cross", "failed"))
    return legend


def _grid(line: Axis) -> str:
    """The vertical lines behind the rows, as a CSS background."""
    layers = [
        f"linear-gradient(var(--grid),var(--grid)) {line.at(moment):.3f}% 0/1px 100% no-repeat"
        for moment in ticks(line)
    ]
    for _, _, left, right in line.folds:
        width = right - left
        layers.append(f"var(--fold) {left / (100 - width) * 100:.3f}% 0/{width:.3f}% 100% no-repeat")
    return ",".join(layers) or "none"


# Requests: how many each server saw, second by second.


def _counts(record: ReleaseRecord, line: Axis, end: float) -> dict[str, list[float]]:
    """Per server the requests per second, in bins of equal width on the axis."""
    if not record.requests:
        return {}
    bins = DENSE_BINS if len(record.servers) >= DENSE else BINS
    bins = max(2, min(bins, int(line.end - line.start)))
    known = {server.name for server in record.servers}
    sums = {name: [0.0] * bins for name in known}
    seconds: list[set[float]] = [set() for _ in range(bins)]
    for server, second, number in record.requests:
        if server in known and line.start <= second <= min(line.end, end):
            place = min(int(line.at(second) / 100 * bins), bins - 1)
            sums[server][place] += number
            seconds[place].add(second)
    filled = _filled([len(one) for one in seconds])
    return {name: [found[at] / max(len(seconds[at]), 1) for at in filled] for name, found in sums.items()}


def _filled(seen: Sequence[int]) -> list[int]:
    """For each bin itself, or the last before it in which a second began: a narrow bin may hold none."""
    found, last = [], next((place for place, number in enumerate(seen) if number), 0)
    for place, number in enumerate(seen):
        last = place if number else last
        found.append(last)
    return found


def _total(counts: Mapping[str, Sequence[float]], record: ReleaseRecord) -> dict[str, Any] | None:
    """All servers' requests together."""
    if not counts:
        return None
    together = [sum(values) for values in zip(*counts.values(), strict=True)]
    highest, lowest = max(together), min(together)
    return {
        "curve": _area(together, highest * 1.1),
        "most": f"{highest:,.0f}",
        "told": f"between {lowest:,.0f} and {highest:,.0f} requests per second over all {len(record.servers)} servers",
    }


def _area(values: Sequence[float], highest: float) -> str:
    """An SVG path over a box of 1000 by 100."""
    if not any(values):
        return ""
    step = 1000 / len(values)
    level = [100 - value / highest * 100 for value in values]
    tops = (f"H{(place + 1) * step:.1f}V{up:.1f}" for place, up in enumerate([*level[1:], 100.0]))
    return f"M0 100V{level[0]:.1f}" + "".join(tops) + "Z"


# The steps, to unfold.


def _steps(record: ReleaseRecord, zone: tzinfo) -> list[Group]:
    found: dict[str, list[StepRecord]] = {}
    for step in sorted(record.steps, key=lambda step: (step.started, step.number)):
        found.setdefault(_heading(step, "Batch" in "".join(found), record), []).append(step)
    return [
        Group(
            title,
            f"{words.count(len(steps), 'step')}, {words.took(_length(steps))}",
            tuple(_step(step, zone) for step in steps),
            sum(step.ok is False for step in steps),
        )
        for title, steps in found.items()
    ]


def _heading(step: StepRecord, batches_began: bool, record: ReleaseRecord) -> str:
    if step.undo:
        return "Undo"
    if step.batch:
        return f"Batch {step.batch} of {words.batches(record)}"
    return "After the batches" if batches_began else "Before the first batch"


def _length(steps: Sequence[StepRecord]) -> float:
    return max(step.ended or step.started for step in steps) - min(step.started for step in steps)


def _step(step: StepRecord, zone: tzinfo) -> Mapping[str, Any]:
    detail = words.clean(step.detail).strip()
    first = words.first_line(detail)
    return {
        "time": words.clock(step.started, zone),
        "server": words.clean(step.server) or "all",
        "title": lines.title(step),
        "took": "" if step.ended is None else words.took(step.ended - step.started),
        "result": {None: "running", True: "ok", False: "failed"}[step.ok],
        "tone": {None: "busy", True: "good", False: "bad"}[step.ok],
        "first": first if len(first) <= 200 else f"{first[:199]}…",
        "rest": detail if detail != first or len(first) > 200 else "",
    }
