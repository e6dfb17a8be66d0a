"""What happened is told in order, whichever command did it; a job without an end is under way or died."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from datetime import timezone
from multiprocessing import get_context
from pathlib import Path

import pytest
from support.lock_world import Machine

from saltlick.jobs import report
from saltlick.jobs.history import DIED, UNDER_WAY, JobHistory
from saltlick.jobs.store import Store


def process(pid: int, *others: int) -> Machine:
    """The machine as one process sees it, on which only `others` run beside it."""
    return Machine(running=dict.fromkeys((pid, *others), "then"), me=pid)


def begin(history: JobHistory, feature: str, action: str, detail: str = "", environment: str = "prod") -> int:
    return history.begin(environment=environment, feature=feature, action=action, detail=detail, user="ann", jid="77")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "saltlick" / "saltlick.sqlite"


def test_a_night_in_order(path: Path) -> None:
    times = iter(range(1_000_000, 1_000_900, 60))
    history = JobHistory(Store(path), epoch=lambda: next(times))
    deployed = begin(history, "environment", "orchestrate", "deploy")
    released = begin(history, "release", "release", "release of v2")
    history.end(released, outcome="rolled back", reason="one-app-2: answers 500")
    history.end(deployed, outcome="done")
    begin(history, "backup", "take", environment="test")
    entries = history.history("prod")
    assert [(entry.action, entry.outcome) for entry in entries] == [("release", "rolled back"), ("orchestrate", "done")]
    lines = report.table(entries, now=0, zone=timezone.utc, colour=False).splitlines()
    assert "environment orchestrate  deploy" in lines[1]
    assert "rolled back  one-app-2: answers 500" in lines[2]
    assert "180 s" not in lines[1]
    assert "3 min" in lines[1]
    assert "60 s" in lines[2]
    assert [entry.action for entry in history.history("prod", limit=1)] == ["release"]


def test_a_job_without_an_end_is_under_way_until_its_process_is_gone(path: Path) -> None:
    begin(JobHistory(Store(path), processes=process(7)), "release", "release")
    [entry] = JobHistory(Store(path), processes=process(8, 7)).history("prod")
    assert (entry.outcome, entry.ended) == (UNDER_WAY, None)
    [entry] = JobHistory(Store(path), processes=process(8)).history("prod")
    assert entry.outcome == DIED


def test_an_orchestration_is_ended_by_its_own_process_and_once(path: Path) -> None:
    begin(JobHistory(Store(path), processes=process(7)), "environment", "orchestrate")
    other = JobHistory(Store(path), processes=process(8, 7))
    other.end_open(environment="prod", action="orchestrate", jid="77", outcome="done")
    assert other.history("prod")[0].outcome == UNDER_WAY
    own = JobHistory(Store(path), processes=process(7))
    own.end_open(environment="prod", action="orchestrate", jid="77", outcome="done")
    own.end_open(environment="prod", action="orchestrate", jid="77", outcome="failed")
    assert own.history("prod")[0].outcome == "done"


def test_only_the_masters_user_can_read_the_store(path: Path) -> None:
    JobHistory(Store(path))
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


def write_one(path: Path, number: int) -> int:
    history = JobHistory(Store(path))
    history.end(begin(history, "release", "release", str(number)), outcome="done")
    return number


def test_jobs_that_begin_at_the_same_instant_on_a_new_master_are_all_written(path: Path) -> None:
    """The first ones create the file, which SQLite itself does not let several do at once."""
    for count in range(1, 4):
        with ProcessPoolExecutor(8, mp_context=get_context("fork")) as pool:
            written = list(pool.map(write_one, [path.with_name(f"{count}.sqlite")] * 8, range(8)))
        assert {entry.detail for entry in JobHistory(Store(path.with_name(f"{count}.sqlite"))).history("prod")} == set(
            map(str, written)
        )


def test_text_of_others_cannot_move_the_cursor(path: Path) -> None:
    history = JobHistory(Store(path))
    history.end(begin(history, "lock", "lock", "sale\x1b[2J\nof the year"), outcome="done", reason="[red]no[/red]")
    text = report.table(history.history("prod"), now=0, zone=timezone.utc, colour=False)
    assert "\x1b" not in text
    assert "sale [2J of the year" in text
    assert "[red]no[/red]" in text
    assert len(text.splitlines()) == 2
