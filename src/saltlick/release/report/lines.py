"""A release on a terminal: the plan before it, a line for each step during it, a table and what to do next after it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from saltlick.release.journal.record import ReleaseRecord, Result, ServerRecord, ServerStatus, StepRecord
from saltlick.release.report import wording
from saltlick.release.report.timeline import Lane, lanes, left_outside
from saltlick.release.report.wording import UTC
from saltlick.terminal import Painter, painter
from saltlick.terminal import table as table_lines

_OWN_ADDRESS = re.compile(r"^https?://(127\.0\.0\.1|localhost|\[::1\])(?=[:/])")
LONGEST = 160
"""So much of a good step's detail is shown in its line; of a failure all."""

MARKS: Mapping[Result, str] = {
    Result.DONE: "+",
    Result.UNCHANGED: "dim",
    Result.PARTIAL: "!",
    Result.REFUSED: "!",
    Result.ROLLED_BACK: "±",
    Result.STUCK: "✗",
    Result.RUNNING: "?",
}
"""Each result's mark (see `terminal.STYLES`)."""


@dataclass(frozen=True, slots=True)
class StepFormatter:
    """Makes the lines of one release's steps, all with the same columns."""

    batches: int
    widest: int
    colour: bool = False
    zone: tzinfo = UTC

    @classmethod
    def of(cls, record: ReleaseRecord, *, colour: bool = False, zone: tzinfo = UTC) -> StepFormatter:
        """For this release."""
        widest = max((len(wording.clean(server.name)) for server in record.servers), default=0)
        return cls(wording.batches(record), max(widest, len("all")), colour, zone)

    def __call__(self, record: StepRecord) -> str:
        """The line of one step."""
        paint = painter(self.colour)
        batch = f"batch {record.batch}/{max(self.batches, record.batch)}" if record.batch else ""
        place = len(f"batch {self.batches}/{self.batches}")
        what = f"{'undo ' if record.undo else ''}{title(record)}"
        cells = (
            paint("dim", wording.clock(record.ended or record.started, self.zone)),
            f"{batch:<{place}}",
            f"{wording.clean(record.server) or 'all':<{self.widest}}",
            paint("±" if record.undo else "", f"{what:<24}"),
            f"{'' if record.ended is None else wording.took(record.ended - record.started):>9}",
            *_outcome(record, paint),
        )
        return "  ".join(cells)


def step(record: ReleaseRecord, step_record: StepRecord, *, colour: bool = False, zone: tzinfo = UTC) -> str:
    """One step, begun or ended: `14:03:58  batch 2/5  prod-app-3  drain  1.2 s  ok  drained, 0 sessions`."""
    return StepFormatter.of(record, colour=colour, zone=zone)(step_record)


def title(step_record: StepRecord) -> str:
    """A step's phase, and its name where that says more; `health: /health` for the server's own address."""
    phase, name = wording.PHASES[step_record.phase], _OWN_ADDRESS.sub("", wording.step_name(step_record))
    if not name or name in (phase, step_record.phase.value):
        return phase
    return name if name.startswith(phase) else f"{phase}: {name}"


def _outcome(step_record: StepRecord, paint: Painter) -> tuple[str, ...]:
    """The result, and what was seen: all of it where the step failed."""
    mark, verdict = {None: ("…", "…"), True: ("+", "ok"), False: ("✗", "FAILED")}[step_record.ok]
    if step_record.ok is False:
        detail = wording.clean(step_record.detail).strip().replace("\n", "\n        ")
    else:
        line = wording.first_line(step_record.detail)
        detail = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    if not detail:
        return (paint(mark, verdict),)
    return paint(mark, f"{verdict:<6}"), paint("✗" if step_record.ok is False else "dim", detail)


def plan(record: ReleaseRecord, *, colour: bool = False, floor: int = 0, notes: Sequence[str] = ()) -> str:
    """What `test=True` says: each batch with its servers, what they go from and to, and how many stay in traffic.

    `record` is the release as it would begin: servers with batch and previous revision, no steps. `floor`: servers that stay in
    traffic whatever happens. `notes`: what the pre-flight found, a line each.
    """
    paint, total = painter(colour), len(record.servers)
    lines = [paint("bold", f"{record.environment}: {_what(record)}  {wording.from_to(record)}")]
    lines.append(
        f"  {wording.count(total, 'server')} of {record.group}, "
        f"{wording.count(wording.batches(record), 'batch')}, {record.strategy}"
        + (f", at least {floor} in traffic" if floor else "")
    )
    for number, servers in _by_batch(record).items():
        left = total - len(servers)
        name = f"batch {number}/{wording.batches(record)}" if number else "not in a batch"
        remain = f"{left} of {total} stay in traffic" if number else ""
        lines += [
            "",
            paint("bold", f"  {name}") + paint("dim", f"  {wording.count(len(servers), 'server')}  {remain}".rstrip()),
        ]
        lines += _planned(record, servers, colour)
    lines += ["", *(paint("!", f"! {wording.clean(note)}") for note in notes)]
    return "\n".join([*lines, paint("dim", "Nothing was changed (test=True).")])


def _what(record: ReleaseRecord) -> str:
    rev, sha = wording.first_line(record.rev), wording.short(record.sha)
    asked = f" ({rev})" if rev and not record.sha.startswith(rev) else ""
    return (
        f"{'roll ' if record.rollback else ''}{record.application} {'back ' if record.rollback else ''}to {sha}{asked}"
    )


def _by_batch(record: ReleaseRecord) -> dict[int, list[ServerRecord]]:
    batches: dict[int, list[ServerRecord]] = {}
    for server in sorted(record.servers, key=lambda server: server.batch or len(record.servers) + 1):
        batches.setdefault(server.batch, []).append(server)
    return batches


def _planned(record: ReleaseRecord, servers: Sequence[ServerRecord], colour: bool) -> Iterator[str]:
    rows = []
    for server in servers:
        same = server.previous == record.sha
        change = f"{wording.short(server.previous)} → {wording.short(record.sha)}" if not same else "has it already"
        rows.append((" " if same else "~", server.name, change, server.zone))
    lines = table_lines((), rows, marks=[row[0] for row in rows], colour=colour)
    yield from (f"    {line}" for line in lines)


def plan_data(record: ReleaseRecord, *, floor: int = 0, notes: Sequence[str] = ()) -> dict[str, Any]:
    """The plan for machines."""
    total = len(record.servers)
    return {
        "environment": record.environment,
        "application": record.application,
        "rev": record.rev,
        "sha": record.sha,
        "strategy": record.strategy,
        "floor": floor,
        "batches": [
            {
                "batch": number,
                "in_traffic": total - len(servers),
                "servers": [
                    {"name": server.name, "zone": server.zone, "previous": server.previous, "sha": record.sha}
                    for server in servers
                ],
            }
            for number, servers in _by_batch(record).items()
        ],
        "notes": list(notes),
    }


def summary(record: ReleaseRecord, *, colour: bool = False, now: float | None = None) -> str:
    """The closing table, a row per server, then how it came out, why, and what to do next."""
    return "\n".join([*table(record, colour=colour, now=now), "", *closing(record, colour=colour, now=now)])


def table(record: ReleaseRecord, *, colour: bool = False, now: float | None = None) -> list[str]:
    """A row per server: batch, from → to, seconds out of traffic, how it stands."""
    outside, server_lanes = set(left_outside(record, now)), lanes(record, now)
    heads = ("server", "zone", "batch", "revision", "away", "stands")
    rows = [_row(record, lane, lane.server.name in outside) for lane in server_lanes]
    marks = [_mark(lane.server, lane.server.name in outside) for lane in server_lanes]
    return table_lines(heads, rows, marks=marks, right=(2, 4), colour=colour)


def _row(record: ReleaseRecord, lane: Lane, outside: bool) -> tuple[str, ...]:
    server = lane.server
    now_on = wording.standing_on(record, server)
    change = "unknown" if server.standing in (ServerStatus.TOUCHED, ServerStatus.LEFT_OUT) else wording.short(now_on)
    revision = f"{wording.short(server.previous)} → {change}" if now_on != server.previous else change
    away = wording.took(lane.away_s) if lane.away_s else "-"
    status = ": ".join(part for part in (stands(record, server, outside), wording.first_line(server.detail)) if part)
    return server.name, server.zone, str(server.batch or "-"), revision, away, status


_STANDS: Mapping[ServerStatus, str] = {
    ServerStatus.WAITING: "not touched",
    ServerStatus.TOUCHED: "between two revisions",
    ServerStatus.UNDONE: "back on what it had",
}


def stands(record: ReleaseRecord, server: ServerRecord, outside: bool) -> str:
    """How a server stands, in words; being out of traffic comes first."""
    running = record.result is Result.RUNNING
    plain = _STANDS.get(server.standing, server.standing.value)
    if running and server.standing in (ServerStatus.WAITING, ServerStatus.TOUCHED):
        plain = "waiting" if server.standing is ServerStatus.WAITING else "under way"
    if outside:
        return "OUT OF TRAFFIC" + (f", {plain}" if server.standing is not ServerStatus.LEFT_OUT else "")
    return plain


def _mark(server: ServerRecord, outside: bool) -> str:
    if outside:
        return "✗"
    return {ServerStatus.DONE: "+", ServerStatus.UNDONE: "±", ServerStatus.SKIPPED: "!", ServerStatus.TOUCHED: "…"}.get(
        server.standing, "dim"
    )


def closing(record: ReleaseRecord, *, colour: bool = False, now: float | None = None) -> list[str]:
    """How it came out in a sentence, the reason, who is out of traffic, and what to do next."""
    paint, server_lanes = painter(colour), lanes(record, now)
    lines = [
        paint(MARKS[record.result], wording.headline(record)) + paint("dim", f"  {_figures(record, server_lanes, now)}")
    ]
    if record.reason:
        lines += ["Why: " + wording.clean(record.reason).strip().replace("\n", "\n     ")]
    return lines + [paint("bold", sentence) for sentence in wording.advice(record)]


def _figures(record: ReleaseRecord, server_lanes: Sequence[Lane], now: float | None) -> str:
    parts = [wording.took((record.ended or now or record.started) - record.started)]
    longest = max((lane.away_s for lane in server_lanes), default=0.0)
    if longest:
        parts.append(f"a server was away for {wording.took(longest)} at the most")
    if longest and record.looks.count:
        seen = f"never fewer than {record.looks.fewest} of {len(server_lanes)} in traffic"
        parts.append(f"{seen}, in {wording.count(record.looks.count, 'look')} at the balancer")
    return "; ".join(parts)
