"""The table of docs/backup.md: who waits, who refuses. Every cell of it is tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock

from saltlick.errors import Locked
from saltlick.jobs.holder import LockLease, Mode

PAGE = Path(__file__).parents[3] / "docs" / "environment.md"
WAIT_S = 300.0
WANTS: dict[str, dict[str, Any]] = {
    "backup": {"mode": Mode.SHARED},
    "deploy": {},
    "release": {"over_stale": False},
    "`release.lock`": {"mode": Mode.MANUAL},
}
HELD = ["nobody", "a backup", "a job", "an orchestration", "a lock by hand", "a stale lock"]


def cells() -> list[tuple[str, str, str]]:
    lines = PAGE.read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| wants to begin"))
    head = [cell.strip() for cell in lines[start].strip("|").split("|")][1:]
    assert [cell.split(" (")[0].split(" or ")[0] for cell in head] == HELD
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *rest = (cell.strip() for cell in line.strip("|").split("|"))
        rows += [(first.split(",")[0].split(" (")[0], held, says) for held, says in zip(HELD, rest, strict=True)]
    return rows


def hold(desk, machine, held: str) -> LockLease | None:
    """Let somebody have `prod`."""
    other = desk("ann", pid=200)
    how = {"a backup": Mode.SHARED, "an orchestration": Mode.RUN, "a lock by hand": Mode.MANUAL}
    if held == "nobody":
        return None
    taken = other.take("prod", reason=held, mode=how.get(held, Mode.JOB))
    if held == "a stale lock":
        del machine.running[200]
    return taken


def tried(desk, wants: str, wait_s: float, clock: FakeClock) -> LockLease | None:
    """What becomes of who wants to begin; None when refused."""
    try:
        return desk("bob", clock=clock).take("prod", reason=wants, wait_s=wait_s, **WANTS[wants])
    except Locked:
        return None


def test_the_table_is_complete() -> None:
    assert {wants for wants, _, _ in cells()} == set(WANTS)
    assert len(cells()) == len(WANTS) * len(HELD)


@pytest.mark.parametrize(("wants", "held", "says"), cells(), ids=lambda value: value.replace(" ", "_")[:24])
def test_it_is_as_the_table_says(desk, machine, wants: str, held: str, says: str) -> None:
    first = hold(desk, machine, held)
    clock = FakeClock()
    got = tried(desk, wants, 0.0, clock)
    if says.startswith("begins"):
        assert got
        assert clock.time_s == 0
        assert bool(got.notice) == ("says so" in says)
    elif says.startswith("takes it over"):
        assert got
        assert "took over" in got.notice
    elif says.startswith("exit 3"):
        assert got is None
        assert clock.time_s == 0
        assert tried(desk, wants, WAIT_S, clock) is None or wants == "`release.lock`"
    else:
        assert says.startswith("waits")
        assert got is None
        assert clock.time_s == (60 if "a minute" in says else 0)
        waiting = FakeClock()
        assert first
        waiting.meanwhile.append(lambda now: desk("ann", pid=200).release(first) if now >= 100 else None)
        assert tried(desk, wants, WAIT_S, waiting)
        assert waiting.time_s == 100
