"""Where each server was at each moment of a release: serving, draining, down, looked at, coming back.

Drawn by the page, measured by the summary. What lies between two steps belongs to the state the first has left behind, so
that nothing of a server's time is lost: a server out of traffic shows as such until the balancer has it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerRecord, ServerStatus, StepRecord


class State(str, Enum):
    """What a server is doing, as its users see it."""

    OLD = "old"  # serves what it served before
    BUILD = "build"  # serves, and builds
    DRAIN = "drain"  # answers what it has begun, gets nothing new
    DOWN = "down"
    HEALTH = "health"  # up again, and looked at
    BACK = "back"  # handed to the balancer, which has to agree
    NEW = "new"  # serves the release
    OUT = "out"  # left out of traffic


SERVES = frozenset({State.OLD, State.BUILD, State.NEW})
ANSWERS = SERVES | {State.DRAIN}
WALK = (Phase.DRAIN, Phase.STOP, Phase.ACTIVATE, Phase.START, Phase.HEALTH, Phase.RESTORE)
_DURING = {Phase.DRAIN: State.DRAIN, Phase.HEALTH: State.HEALTH, Phase.RESTORE: State.BACK}


@dataclass(frozen=True, slots=True)
class Span:
    """A server in one state from `start` to `end`, with the steps that made it so."""

    state: State
    start: float
    end: float
    undo: bool = False
    steps: tuple[StepRecord, ...] = ()

    @property
    def seconds(self) -> float:
        """How long."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Lane:
    """One server's time from the release's start to its end."""

    server: ServerRecord
    spans: tuple[Span, ...]

    @property
    def away_s(self) -> float:
        """Seconds in which the server answered nobody."""
        return sum(span.seconds for span in self.spans if span.state not in ANSWERS)

    @property
    def outside(self) -> bool:
        """Whether it is out of traffic at the end, or nobody can say that it is not."""
        return self.server.standing is ServerStatus.LEFT_OUT or (
            bool(self.spans) and self.spans[-1].state not in SERVES
        )

    @property
    def walked(self) -> tuple[Span, ...]:
        """The spans that are more than serving."""
        return tuple(span for span in self.spans if span.state not in SERVES)


def end_of(record: ReleaseRecord, now: float | None = None) -> float:
    """When the release ended; of one that runs, `now` or the last that is known of it."""
    seen = max((step.ended or step.started for step in record.steps), default=record.started)
    return max(seen, record.started, (now or seen) if record.ended is None else record.ended)


def lanes(record: ReleaseRecord, now: float | None = None) -> tuple[Lane, ...]:
    """Each server's lane, in the servers' order."""
    end = end_of(record, now)
    steps: dict[str, list[StepRecord]] = {server.name: [] for server in record.servers}
    for step in sorted(record.steps, key=lambda step: (step.started, step.number)):
        if step.server in steps:
            steps[step.server].append(step)
    return tuple(
        Lane(server, tuple(_merged(_spans(server, steps[server.name], record.started, end))))
        for server in record.servers
    )


def _spans(server: ServerRecord, steps: Sequence[StepRecord], start: float, end: float) -> Iterator[Span]:
    """The server's states one after the other; of no length where a step took none."""
    state, undo, at = State.OLD, False, start
    telling = [step for step in steps if step.phase in WALK or step.phase in (Phase.BUILD, Phase.ONCE)]
    for place, step in enumerate(telling):
        begin = max(at, step.started)
        yield Span(state, at, begin, undo)
        undo = undo or step.undo
        # No later than the next begins: also a step without an end may have a successor, when its runner was killed in it.
        rest = telling[place + 1].started if place + 1 < len(telling) else end
        stop = rest if step.ended is None else min(step.ended, rest)
        at = max(begin, stop)
        yield Span(_during(step, state), begin, at, undo, (step,))
        state = _after(step, state)
    if server.standing is ServerStatus.LEFT_OUT:
        state = State.OUT
    elif server.standing in (ServerStatus.DONE, ServerStatus.UNDONE):  # the journal's last word, also after a resume
        state = State.NEW if server.standing is ServerStatus.DONE else State.OLD
    yield Span(state, at, max(at, end), undo)


def _during(step: StepRecord, before: State) -> State:
    """The state a step puts the server in."""
    if step.phase in (Phase.BUILD, Phase.ONCE):
        return State.BUILD if before in SERVES else State.DOWN
    state = _DURING.get(step.phase, State.DOWN)
    return State.DOWN if state is State.DRAIN and before not in ANSWERS else state  # nothing left to drain


def _after(step: StepRecord, before: State) -> State:
    """What a server is in until its next step."""
    if step.phase in (Phase.BUILD, Phase.ONCE):
        return before if before in SERVES else State.DOWN
    if step.ended is None:
        return _DURING.get(step.phase, State.DOWN)
    if step.phase is Phase.RESTORE and step.ok:
        return State.OLD if step.undo else State.NEW
    return State.BACK if step.phase is Phase.HEALTH and step.ok else State.DOWN


def _merged(spans: Iterator[Span]) -> Iterator[Span]:
    """Neighbours of one state as one span; those of no length and no step are dropped."""
    last: Span | None = None
    for span in spans:
        if span.seconds <= 0 and not span.steps:
            continue
        if last is not None and (last.state, last.undo) == (span.state, span.undo):
            last = replace(last, end=span.end, steps=last.steps + span.steps)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


def left_outside(record: ReleaseRecord, now: float | None = None) -> tuple[str, ...]:
    """The servers out of traffic, or of which nobody can say that they are not. Of a release that runs: those left out."""
    if record.result is Result.RUNNING:
        return tuple(server.name for server in record.servers if server.standing is ServerStatus.LEFT_OUT)
    suspect = (ServerStatus.LEFT_OUT, ServerStatus.TOUCHED)
    return tuple(lane.server.name for lane in lanes(record, now) if lane.outside or lane.server.standing in suspect)


@dataclass(frozen=True, slots=True)
class Axis:
    """Moments to percent of a line's width, with long idle stretches folded.

    `pieces`: (from second, to second, from percent, to percent), one after the other; `folds` are those that were folded.
    """

    pieces: tuple[tuple[float, float, float, float], ...]
    folds: tuple[tuple[float, float, float, float], ...] = ()

    @property
    def start(self) -> float:
        """The first moment."""
        return self.pieces[0][0]

    @property
    def end(self) -> float:
        """The last moment."""
        return self.pieces[-1][1]

    def at(self, when: float) -> float:
        """Percent of the width, from 0 to 100; what lies outside is put on the edge."""
        if when <= self.start:
            return 0.0
        for start, end, left, right in self.pieces:
            if when <= end:
                return min(100.0, left + (right - left) * (when - start) / (end - start))
        return 100.0


FOLD_PERCENT = 3.0
"""The width of a folded stretch; all of them together take no more than a quarter."""


def axis(record: ReleaseRecord, server_lanes: Sequence[Lane], now: float | None = None) -> Axis:
    """The stretch in which servers walk; the whole release where none did."""
    walked = [(span.start, span.end) for lane in server_lanes for span in lane.walked if span.steps]
    if not walked:
        return Axis(((record.started, max(end_of(record, now), record.started + 1.0), 0.0, 100.0),))
    busy, end = _united(walked), end_of(record, now)
    pad = max(0.5, 0.03 * sum(stop - start for start, stop in busy))
    first, last = busy[0][0], busy[-1][1]
    return _folded(busy, min(first, max(first - pad, record.started)), max(last, min(last + pad, end)))


def _united(stretches: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    united: list[tuple[float, float]] = []
    for start, end in sorted(stretches):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united


def _folded(busy: Sequence[tuple[float, float]], start: float, end: float) -> Axis:
    """A line on which idle stretches much longer than what happens are folded."""
    work = sum(stop - begin for begin, stop in busy)
    margin = 0.02 * work + 0.2
    limit = max(5.0, 0.12 * work) + 2 * margin
    idle = [(a[1] + margin, b[0] - margin) for a, b in pairwise(busy) if b[0] - a[1] > limit]
    width = min(FOLD_PERCENT, 25.0 / len(idle)) if idle else 0.0
    shown = end - start - sum(stop - begin for begin, stop in idle)
    per_second = (100.0 - width * len(idle)) / max(shown, 0.001)
    pieces, folds, at, left = [], [], start, 0.0
    for begin, stop in [*idle, (end, end)]:
        right = left + (begin - at) * per_second
        pieces.append((at, begin, left, right))
        at, left = begin, right
        if stop > begin:
            folds.append((begin, stop, left, left + width))
            pieces.append(folds[-1])
            at, left = stop, left + width
    return Axis(tuple(pieces), tuple(folds))


def ticks(drawn: Axis, most: int = 5) -> tuple[float, ...]:
    """Round moments for the labels of an axis, none in a fold, none too near to another or to the edges."""
    shown = sum(
        end - start for start, end, *_ in drawn.pieces if (start, end) not in {fold[:2] for fold in drawn.folds}
    )
    nice = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    every = next((step for step in nice if shown / step <= most), nice[-1])
    chosen: list[float] = []
    moment = (drawn.start // every + 1) * every
    while moment < drawn.end and len(chosen) < 50:
        place = drawn.at(moment)
        folded = next((fold for fold in drawn.folds if fold[0] <= moment <= fold[1]), None)
        if folded:
            moment = max(moment, folded[1] // every * every)
        elif 6 <= place <= 94 and (not chosen or place - drawn.at(chosen[-1]) >= 70 / most):
            chosen.append(moment)
        moment += every
    return tuple(chosen)
