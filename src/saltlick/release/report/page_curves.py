"""The requests on a release's page: how many each server saw, second by second, as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saltlick.release.journal.record import ReleaseRecord
from saltlick.release.report.timeline import Axis

DENSE = 40
"""From so many servers on, rows are low."""
BINS = 240
DENSE_BINS = 60
"""Points of a server's requests curve."""


def counts(record: ReleaseRecord, line: Axis, end: float) -> dict[str, list[float]]:
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
    filled = _filled([len(slot) for slot in seconds])
    return {name: [counts[at] / max(len(seconds[at]), 1) for at in filled] for name, counts in sums.items()}


def _filled(seen: Sequence[int]) -> list[int]:
    """For each bin itself, or the last before it in which a second began: a narrow bin may hold none."""
    filled, last = [], next((place for place, number in enumerate(seen) if number), 0)
    for place, number in enumerate(seen):
        last = place if number else last
        filled.append(last)
    return filled


def total(counts: Mapping[str, Sequence[float]], record: ReleaseRecord) -> dict[str, Any] | None:
    """All servers' requests together."""
    if not counts:
        return None
    together = [sum(values) for values in zip(*counts.values(), strict=True)]
    highest, lowest = max(together), min(together)
    return {
        "curve": area(together, highest * 1.1),
        "most": f"{highest:,.0f}",
        "caption": f"between {lowest:,.0f} and {highest:,.0f} requests per second over all {len(record.servers)} servers",
    }


def area(values: Sequence[float], highest: float) -> str:
    """An SVG path over a box of 1000 by 100."""
    if not any(values):
        return ""
    step = 1000 / len(values)
    level = [100 - value / highest * 100 for value in values]
    tops = (f"H{(place + 1) * step:.1f}V{up:.1f}" for place, up in enumerate([*level[1:], 100.0]))
    return f"M0 100V{level[0]:.1f}" + "".join(tops) + "Z"
