"""A release from another terminal, live: a bar per server; where there is no terminal, the step lines that are new.

A frame is a value made from the record and the time; whoever watches reads the journal and shows it:

    with rich.live.Live(console=console, screen=False) as live:
        while …:
            live.update(frame(record, clock.now(), height=console.height))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerRecord, ServerStatus, StepRecord
from saltlick.release.report import lines, wording
from saltlick.release.report.timeline import WALK, Lane, State, end_of, lanes, left_outside
from saltlick.release.report.wording import UTC
from saltlick.terminal import STYLES

CELLS: Mapping[Phase, int] = {
    Phase.DRAIN: 4,
    Phase.STOP: 2,
    Phase.ACTIVATE: 1,
    Phase.START: 2,
    Phase.HEALTH: 5,
    Phase.RESTORE: 4,
}
"""How much of a server's bar each step of its walk takes."""
FULL, EMPTY = "█", "░"
_COLOURS = {Phase.DRAIN: "yellow", Phase.HEALTH: "blue", Phase.RESTORE: "cyan"}
_FEWEST = 12
_AROUND = 9
"""Lines of a frame that are not servers."""


def frame(record: ReleaseRecord, now: float, *, height: int = 24, zone: tzinfo = UTC) -> Group:
    """The screen at one moment: batches, a bar per server as far as they fit, the latest steps, how it stands."""
    room = max(_FEWEST, height) - _AROUND
    shown, rest = _chosen(record, room)
    parts: list[RenderableType] = [_head(record, now), _batches(record), Text(), _servers(record, shown, now)]
    if rest:
        parts.append(Text(f"  and {_counted(rest)}", style="dim"))
    parts += [Text(), *_latest(record, zone), *_foot(record, now)]
    return Group(*parts)


def _head(record: ReleaseRecord, now: float) -> Text:
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{record.environment}  ", style="bold")
    head.append(f"{record.application} {wording.from_to(record)}  ")
    head.append(record.result.value, style=f"bold {STYLES[lines.MARKS[record.result]]}")
    head.append(
        f"  {wording.took(end_of(record, now) - record.started)}  by {wording.first_line(record.who)}", style="dim"
    )
    return head


def _batches(record: ReleaseRecord) -> Text:
    """`batch 2/5  ████░░░░░░  4 of 12 servers done`."""
    current = max((step.batch for step in record.steps), default=0)
    finished = (ServerStatus.DONE, ServerStatus.UNDONE, ServerStatus.SKIPPED, ServerStatus.LEFT_OUT)
    through = sum(server.standing in finished for server in record.servers)
    undoing = any(step.undo for step in record.steps)
    style = "magenta" if undoing else "green"
    share = round(24 * through / max(len(record.servers), 1))
    stage = "undo" if undoing else f"batch {current}/{wording.batches(record)}" if current else _stage(record)
    line = Text(f"{stage}  ")
    line.append(FULL * share, style=style)
    line.append(EMPTY * (24 - share), style="dim")
    return line.append(f"  {through} of {wording.count(len(record.servers), 'server')}")


def _stage(record: ReleaseRecord) -> str:
    return lines.title(record.steps[-1]) if record.steps else "starting"


def _chosen(record: ReleaseRecord, room: int) -> tuple[list[ServerRecord], list[ServerRecord]]:
    """The servers worth a line when there is not room for all: what failed, what is under way, then what is next."""
    if len(record.servers) <= room:
        return list(record.servers), []
    rank = {ServerStatus.LEFT_OUT: 0, ServerStatus.TOUCHED: 1, ServerStatus.SKIPPED: 2, ServerStatus.WAITING: 3}
    order = {server.name: place for place, server in enumerate(record.servers)}
    wanted = sorted(record.servers, key=lambda server: (rank.get(server.standing, 4), order[server.name]))
    return sorted(wanted[:room], key=lambda server: order[server.name]), wanted[room:]


def _counted(rest: Sequence[ServerRecord]) -> str:
    counts = {standing: sum(server.standing is standing for server in rest) for standing in ServerStatus}
    return ", ".join(f"{number} {standing.value}" for standing, number in counts.items() if number)


def _servers(record: ReleaseRecord, shown: Sequence[ServerRecord], now: float) -> Table:
    table = Table.grid(padding=(0, 2))
    for column in ("server", "batch", "bar", "step", "time", "stands"):
        table.add_column(column, no_wrap=True, justify="right" if column == "time" else "left", overflow="ellipsis")
    lanes_by_server = {lane.server.name: lane for lane in lanes(record, now)}
    latest = {
        step.server: step for step in record.steps if step.phase in WALK or step.ended is None or step.ok is False
    }
    outside = set(left_outside(record, now))
    for server in shown:
        step, lane = latest.get(server.name), lanes_by_server[server.name]
        walked = server.standing is not ServerStatus.WAITING
        table.add_row(
            wording.clean(server.name),
            Text(str(server.batch or ""), style="dim"),
            _bar(server, step if walked else None),
            _doing(step, now),
            wording.took(lane.away_s) if lane.away_s else "",
            _standing(record, server, lane, server.name in outside),
        )
    return table


def _bar(server: ServerRecord, step: StepRecord | None) -> Text:
    """How far the server is on its walk, each step in its colour; on the way back all in one."""
    bar = Text()
    place = WALK.index(step.phase) if step is not None and step.phase in WALK else -1
    for number, phase in enumerate(WALK):
        begun = number <= place or server.standing in (ServerStatus.DONE, ServerStatus.UNDONE)
        style = _COLOURS.get(phase, "white")
        if server.standing is ServerStatus.DONE:
            style = "green"
        elif server.standing is ServerStatus.LEFT_OUT or (step is not None and step.ok is False and number == place):
            style = "red"
        elif server.standing is ServerStatus.UNDONE or (step is not None and step.undo):
            style = "magenta"
        bar.append((FULL if begun else EMPTY) * CELLS[phase], style=style if begun else "dim")
    return bar


def _doing(step: StepRecord | None, now: float) -> Text:
    if step is None:
        return Text()
    title = f"{'undo ' if step.undo else ''}{lines.title(step)}"
    if step.ended is None:
        return Text(f"{title} {wording.took(now - step.started)}")
    return Text(f"{title} failed", style="red") if step.ok is False else Text(title, style="dim")


def _standing(record: ReleaseRecord, server: ServerRecord, lane: Lane, outside: bool) -> Text:
    style = {ServerStatus.DONE: "green", ServerStatus.UNDONE: "magenta", ServerStatus.SKIPPED: "yellow"}.get(
        server.standing, "dim"
    )
    words = lines.stands(record, server, outside)
    if server.standing is ServerStatus.TOUCHED and record.result is Result.RUNNING:
        draining = bool(lane.spans) and lane.spans[-1].state is State.DRAIN
        return Text("still answering" if draining else "out of traffic", style="yellow")
    return Text(words, style="bold red" if outside else style)


def _latest(record: ReleaseRecord, zone: tzinfo) -> Iterator[Text]:
    """The last three steps that ended."""
    ended = sorted((step for step in record.steps if step.ended is not None), key=lambda step: step.ended or 0.0)
    for step in ended[-3:]:
        line = lines.step(record, step, zone=zone).splitlines()[0]
        yield Text(line, style="red" if step.ok is False else "dim", no_wrap=True, overflow="ellipsis")


def _foot(record: ReleaseRecord, now: float) -> list[Text]:
    if record.result is Result.RUNNING:
        return []
    return [Text(), *(Text.from_ansi(line) for line in lines.closing(record, colour=True, now=now))]


def new_lines(
    record: ReleaseRecord, seen: frozenset[tuple[int, bool]] = frozenset(), *, colour: bool = False, zone: tzinfo = UTC
) -> tuple[list[str], frozenset[tuple[int, bool]]]:
    """Where no terminal is: the lines of the steps that began or ended since `seen`, and what to give as `seen` next time.

    A step that began and ended in between has one line.
    """
    fresh = [step for step in record.steps if (step.number, step.ended is not None) not in seen]
    fresh.sort(key=lambda step: (step.ended or step.started, step.number))
    new = list(map(lines.StepFormatter.of(record, colour=colour, zone=zone), fresh))
    return new, seen | {(step.number, step.ended is not None) for step in fresh}
