"""Red for each thing that can be wrong with backups, and green for none of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.backup_samples import DAY, HOUR, T0, catalogue, job, nightly
from support.lock_world import Machine

from saltlick.backup.catalogue import Catalogue
from saltlick.backup.freshness import FreshnessResult, judge
from saltlick.backup.history import Attempt, BackupHistory
from saltlick.jobs.store import Store

NOW = T0 + 2 * DAY + HOUR
DRILL = {
    "environment": "test",
    "servers": "db",
    "store": "vault",
    "checks": [{"name": "n", "command": "true"}],
    "at": {"cron": "0 5 * * 0"},
}


class Past:
    """The history, with a clock that is set."""

    def __init__(self, folder: Path) -> None:
        self.at = T0
        self.history = BackupHistory(Store(folder / "h.sqlite"), now=lambda: self.at)

    def tried(
        self, at: datetime, what: Attempt = Attempt.TAKE, *, ok: bool = True, backup: str = "", error: str = ""
    ) -> None:
        self.at = at
        self.history.end(self.history.begin("prod", what, "database", backup=backup), ok=ok, error=error)

    def judge(self, there: Catalogue | str, **more: Any) -> FreshnessResult:
        return judge("prod", "database", job(**more), there, self.history.of("prod", "database"), NOW)


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path)


def test_green(past: Past) -> None:
    there = nightly(3)
    for backup_ in there:
        past.tried(backup_.began, backup=backup_.id)
    verdict = past.judge(catalogue(*there))
    assert verdict.fresh, verdict.reasons
    assert verdict.age_s == 3600
    assert verdict.newest == there[-1]


def test_nothing_there(past: Past) -> None:
    assert past.judge(catalogue()).reasons == ("there is no good backup",)


def test_a_store_that_cannot_be_seen(past: Past) -> None:
    verdict = past.judge("store vault cannot be looked at: refused")
    assert verdict.reasons == ("the store cannot be seen: store vault cannot be looked at: refused",)
    assert verdict.unseen
    assert verdict.age_s is None
    assert verdict.unknown == (
        "whether the backups are there and whole (no run ended well yet)",
        "how far back everything is safe",
    )


def test_what_the_history_knows_stays_known_when_the_store_cannot_be_seen(past: Past) -> None:
    past.tried(NOW - HOUR, backup="database/1")
    past.tried(NOW - timedelta(minutes=1), ok=False, error="no space left")
    verdict = past.judge("refused")
    assert verdict.reasons[1:] == ("the run of 2026-11-04 02:59:00 UTC failed: no space left",)
    assert "the last run that ended well began at 2026-11-04 02:00:00 UTC" in verdict.unknown[0]
    assert verdict.next_commands == ("salt-run backup.list prod job=database", "salt-run backup.run prod job=database")


def test_too_old(past: Past) -> None:
    (reason,) = past.judge(catalogue(*nightly(1))).reasons
    assert reason == "the newest good one reaches to 2026-11-02 02:00:00 UTC: 2 d ago, and 26 h are allowed"


def test_a_run_that_failed(past: Past) -> None:
    past.tried(NOW - timedelta(minutes=1), ok=False, error="rsync failed (11): No space left on device")
    (reason,) = past.judge(catalogue(*nightly(3))).reasons
    assert reason == "the run of 2026-11-04 02:59:00 UTC failed: rsync failed (11): No space left on device"


def test_a_good_run_after_one_that_failed(past: Past) -> None:
    past.tried(T0, ok=False, error="no")
    assert past.judge(catalogue(*nightly(3))).fresh


def test_a_run_whose_process_is_gone(tmp_path: Path) -> None:
    machine = Machine(running={100: "then"})
    history = BackupHistory(Store(tmp_path / "h.sqlite"), processes=machine, now=lambda: NOW - HOUR / 2)
    history.begin("prod", Attempt.TAKE, "database")
    machine.running.clear()
    (reason,) = judge("prod", "database", job(), catalogue(*nightly(3)), history.of("prod", "database"), NOW).reasons
    assert reason == "the run of 2026-11-04 02:30:00 UTC was killed"


def test_a_run_under_way_is_no_reason(past: Past) -> None:
    past.at = NOW - HOUR / 2
    past.history.begin("prod", Attempt.TAKE, "database")
    assert past.judge(catalogue(*nightly(3))).fresh


def test_suspiciously_less_data(past: Past) -> None:
    first, second, third = nightly(3)
    from dataclasses import replace

    there = catalogue(first, second, replace(third, raw_size=1000))
    assert past.judge(there).reasons == (
        f"{third.id} is of 75 % less data than {second.id}: look whether something is missing",
    )
    assert past.judge(there, shrink_percent=80).fresh


def test_damaged(past: Past) -> None:
    there = nightly(3)
    past.tried(NOW, Attempt.VERIFY, ok=False, backup=there[1].id, error="base.tar.gz has other content")
    assert past.judge(catalogue(*there)).reasons == (f"{there[1].id} is damaged: base.tar.gz has other content",)
    past.tried(NOW, Attempt.VERIFY, ok=True, backup=there[1].id)
    assert past.judge(catalogue(*there)).fresh


def test_the_newest_is_damaged_so_the_one_before_counts(past: Past) -> None:
    there = nightly(3)
    past.tried(NOW, Attempt.VERIFY, ok=False, backup=there[2].id, error="is missing")
    verdict = past.judge(catalogue(*there))
    assert verdict.newest == there[1]
    assert verdict.age_s == 25 * 3600


def test_one_that_vanished(past: Past) -> None:
    there = nightly(3)
    for backup_ in there:
        past.tried(backup_.began, backup=backup_.id)
    assert past.judge(catalogue(*there[1:])).reasons == (
        f"{there[0].id} was made at 2026-11-02 02:00:00 UTC, and is not in the store any more",
    )
    past.history.deleted("prod", "database", [there[0].id])
    assert past.judge(catalogue(*there[1:])).fresh


def test_a_link_that_is_missing(past: Past) -> None:
    full, first, second = nightly(1, increments=2)
    (_, reason) = past.judge(catalogue(full, second)).reasons
    assert reason == f"{second.id} builds on {first.id}, which is not there any more"


def test_a_manifest_that_cannot_be_read(past: Past) -> None:
    there = catalogue(*nightly(3), unreadable=("20261101T020000Z-full",))
    assert past.judge(there).reasons == ("20261101T020000Z-full has a manifest that cannot be read",)


def test_a_drill_that_failed_and_one_that_is_too_old(past: Past) -> None:
    there = catalogue(*nightly(3))
    past.tried(NOW - 10 * DAY, Attempt.DRILL)
    assert past.judge(there, drill=DRILL).reasons == ("the last good drill was 10 d ago, and 8 d are allowed",)
    past.tried(NOW - DAY, Attempt.DRILL)
    assert past.judge(there, drill=DRILL).fresh
    past.tried(NOW - HOUR, Attempt.DRILL, ok=False, error="notes: is 0, less than 1")
    assert past.judge(there, drill=DRILL).reasons == (
        "the drill of 2026-11-04 02:00:00 UTC failed: notes: is 0, less than 1",
    )
