"""The time line of a release's page: a row per server, its bars, marks and legend, in percent of the axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from saltlick.release.journal.record import ReleaseRecord, ServerRecord, ServerStatus, StepRecord
from saltlick.release.report import lines, wording
from saltlick.release.report.page_curves import area
from saltlick.release.report.timeline import Axis, Lane, Span, State, left_outside, ticks

_NOBODY_KNOWS = frozenset({ServerStatus.TOUCHED, ServerStatus.LEFT_OUT})
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
    caption: str
    """What the bars show, for those who do not see them."""


@dataclass(frozen=True, slots=True)
class Group:
    """Steps, or rows, under one heading."""

    title: str
    note: str
    items: tuple[Any, ...]
    failed: int = 0


def worth_drawing(server_lanes: Sequence[Lane]) -> bool:
    """Whether any server did more than serve as before."""
    return any(span.state is not State.OLD for lane in server_lanes for span in lane.spans)


def rows(
    record: ReleaseRecord, server_lanes: Sequence[Lane], line: Axis, counts: Mapping[str, Sequence[float]], zone: tzinfo
) -> list[Group]:
    """The rows of all servers, by batch in the order of the release; `counts` are requests per server and step of `line`."""
    highest = max((max(curve) for curve in counts.values() if curve), default=0.0) or 1.0
    outside = set(left_outside(record))
    by_batch: dict[int, list[Row]] = {}
    for lane in server_lanes:
        curve = area(counts.get(lane.server.name, ()), highest)
        row = _row(record, lane, line, curve, lane.server.name in outside, zone)
        by_batch.setdefault(lane.server.batch, []).append(row)
    return [
        Group(
            f"Batch {batch} of {wording.batches(record)}" if batch else "In no batch",
            wording.count(len(rows), "server"),
            tuple(rows),
        )
        for batch, rows in sorted(by_batch.items())
    ]


def _row(record: ReleaseRecord, lane: Lane, line: Axis, curve: str, outside: bool, zone: tzinfo) -> Row:
    server = lane.server
    spans = [span for span in lane.spans if span.end >= line.start and span.start <= line.end]
    crosses = [step for span in lane.spans for step in span.steps if step.ok is False]
    now_on = wording.standing_on(record, server)
    return Row(
        name=wording.clean(server.name),
        zone=wording.clean(server.zone),
        bars=tuple(_bar(span, line, zone) for span in spans),
        crosses=tuple(_cross(step, line, zone) for step in crosses if line.start <= (step.ended or 0) <= line.end),
        curve=curve,
        away=wording.took(lane.away_s) if lane.away_s else "",
        now_on=wording.short(now_on) if server.standing not in _NOBODY_KNOWS else "unknown",
        stands=lines.stands(record, server, outside),
        detail=wording.first_line(server.detail),
        tone=_tone(server, outside),
        caption=_caption(lane),
    )


def _bar(span: Span, line: Axis, zone: tzinfo) -> Bar:
    left, right = line.at(span.start), line.at(span.end)
    on_the_way_back = span.undo and span.state not in (State.OLD, State.NEW, State.OUT)
    kind = f"{span.state.value}{' undo' if on_the_way_back else ''}"
    details = "; ".join(dict.fromkeys(wording.first_line(step.detail) for step in span.steps if step.detail))
    when = f"{wording.clock(span.start, zone)} to {wording.clock(span.end, zone)}"
    title = f"{'Undo: ' if on_the_way_back else ''}{STATES[span.state]}, {wording.took(span.seconds)} ({when})"
    return Bar(kind, left, max(right - left, 0.0), f"{title}\n{details[:300]}".rstrip())


def _cross(step: StepRecord, line: Axis, zone: tzinfo) -> Bar:
    moment = step.ended or step.started
    title = f"{lines.title(step)} failed at {wording.clock(moment, zone)}: {wording.first_line(step.detail)[:300]}"
    return Bar("cross", line.at(moment), 0.0, title)


def _caption(lane: Lane) -> str:
    """`drain 1.8 s, down 1.1 s, health 2.6 s, back 2.8 s; undo: drain …`."""
    ways = []
    for undo in (False, True):
        spans = [span for span in lane.walked if span.undo is undo]
        if spans:
            walk = ", ".join(f"{SHORT[span.state]} {wording.took(span.seconds)}" for span in spans)
            ways.append(f"undo: {walk}" if undo else walk)
    return "; ".join(ways) or "in traffic all the time"


def _tone(server: ServerRecord, outside: bool) -> str:
    if outside:
        return "bad"
    return {ServerStatus.DONE: "good", ServerStatus.UNDONE: "undone", ServerStatus.TOUCHED: "busy"}.get(
        server.standing, "calm"
    )


def legend(server_lanes: Sequence[Lane]) -> list[tuple[str, str]]:
    """The states that occur, in the order of a walk; the way back once."""
    there = {
        (span.state, span.undo and span.state not in (State.OLD, State.NEW, State.OUT))
        for lane in server_lanes
        for span in lane.spans
    }
    legend = [(state.value, STATES[state]) for state in State if (state, False) in there]
    if any(undo for _, undo in there):
        legend.append(("undo-all", "the same on the way back"))
    if any(step.ok is False for lane in server_lanes for span in lane.spans for step in span.steps):
        legend.append(("cross", "failed"))
    return legend


def grid(line: Axis) -> str:
    """The vertical lines behind the rows, as a CSS background."""
    layers = [
        f"linear-gradient(var(--grid),var(--grid)) {line.at(moment):.3f}% 0/1px 100% no-repeat"
        for moment in ticks(line)
    ]
    for _, _, left, right in line.folds:
        width = right - left
        layers.append(f"var(--fold) {left / (100 - width) * 100:.3f}% 0/{width:.3f}% 100% no-repeat")
    return ",".join(layers) or "none"
