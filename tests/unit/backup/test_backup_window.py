"""Every moment of the window can be restored, whatever befalls the servers, the runs, the clocks and the files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.backup_months import Month
from support.backup_samples import DAY, HOUR, T0, backup, catalogue, job, nightly

from saltlick.backup.catalogue import Backup
from saltlick.backup.ground import ground
from saltlick.backup.pillar import RetentionSpec
from saltlick.backup.retention import Window, unwanted
from saltlick.backup.timelines import lineage

MINUTE = timedelta(minutes=1)
HALF_HOUR = 1800.0
DB = ("prod-db-1", "prod-db-2")


def scheduled(*counts: int) -> tuple[Backup, ...]:
    """Full backups with so many increments after each, every five minutes; each first one goes on from before its full one."""
    taken: list[Backup] = []
    for count in counts:
        at = taken[-1].reaches + 5 * MINUTE if taken else T0
        follows = taken[-1].id if taken else ""
        last = backup(at, sequence=len(taken))
        taken.append(last)
        for number in range(1, count + 1):
            last = backup(
                at + 5 * number * MINUTE, "incr", last, sequence=len(taken), follows=follows if number == 1 else ""
            )
            taken.append(last)
    return tuple(taken)


def keep_one_day() -> RetentionSpec:
    return RetentionSpec.model_validate({"daily": 1, "weekly": 0, "monthly": 0})


@pytest.mark.parametrize("seed", range(3))
def test_simulated_days_have_no_hole(seed: int) -> None:
    month = Month(seed)
    for _ in range(6):
        month.day()
    assert month.holes == []
    assert month.figures["moments"] > 60
    assert month.figures["deleted"] > 0


@pytest.mark.parametrize(
    ("seed", "days"),
    [
        (42, 19),
        (67, 14),
        (69, 14),
        (76, 24),
        (108, 21),
        (152, 6),
        (181, 30),
        (197, 19),
        (201, 21),
        (215, 9),
        (220, 19),
        (241, 30),
        (254, 13),
        (322, 11),
    ],
)
def test_simulated_months_that_had_holes_have_none(seed: int, days: int) -> None:
    month = Month(seed)
    for _ in range(days):
        month.day()
    assert month.holes == []


def test_the_time_of_a_full_backup_is_no_hole() -> None:
    """Five minutes before it, while it runs, and right after it."""
    taken = scheduled(3, 3)
    for minute in range(2, 34):
        moment = T0 + minute * MINUTE
        chain = catalogue(*taken).until(moment)
        assert chain[0].ended <= moment <= chain[-1].reaches


def test_a_full_backup_leaves_the_chain_of_its_hour() -> None:
    """Back up first, then go back two minutes."""
    taken = scheduled(3, 1)
    gone = unwanted(catalogue(*taken), keep_one_day(), window=Window(HOUR.total_seconds(), HALF_HOUR))
    assert gone == ()
    left = catalogue(*(each for each in taken if each.id not in gone))
    assert left.until(taken[-2].reaches - 2 * MINUTE)[0] == taken[0]


def test_what_no_moment_of_the_window_needs_goes() -> None:
    taken = scheduled(11, 11, 11)
    window = Window(HOUR.total_seconds(), HALF_HOUR)
    gone = unwanted(catalogue(*taken), keep_one_day(), window=window, proved={taken[-1].id})
    assert set(gone) == {each.id for each in taken[:12]}


def test_what_a_restore_goes_on_from_stays_as_long_as_a_moment_since_needs_it() -> None:
    """Back to 00:30, and the next increment joins on to what was before that; until a full backup is done, it starts there."""
    old, new = (
        lineage({"system": "7", "timeline": number, "ancestors": ancestors})
        for number, ancestors in ((1, []), (2, [[1, "0/3000000"]]))
    )
    base = backup(T0, sequence=1, lineage=old)
    first = backup(T0 + HOUR / 2, "incr", base, sequence=2, lineage=old)
    full = backup(T0 + 2 * HOUR, sequence=3, lineage=old)
    closing = backup(T0 + 2 * HOUR + 2 * MINUTE, "incr", full, sequence=4, follows=first.id, lineage=old)
    restored: dict[str, Any] = {"lineage": new, "born": closing.ended, "left": (first.reaches + MINUTE,)}
    since = backup(T0 + 4 * HOUR, sequence=5, **restored)
    joined = backup(T0 + 5 * HOUR, "incr", since, sequence=6, follows=first.id, **restored)
    more = [backup(T0 + (5 + n) * HOUR, "incr", joined, sequence=6 + n, **restored) for n in (1, 2)]
    taken = (base, first, full, closing, since, joined, *more)
    assert catalogue(*taken).until(T0 + 3 * HOUR) == (base, first, joined)
    gone = unwanted(catalogue(*taken), keep_one_day(), window=Window(4.5 * 3600, 7200.0), proved={more[-1].id})
    assert not {base.id, first.id, joined.id} & set(gone)


def test_a_clock_that_leaps_takes_nothing_out_of_the_window() -> None:
    taken = scheduled(3, 3)
    leapt = [backup(each.began + 365 * DAY, each.mode, sequence=9, id=f"leapt-{each.mode}") for each in taken[-1:]]
    gone = unwanted(catalogue(*taken, *leapt), keep_one_day(), window=Window(HOUR.total_seconds(), HALF_HOUR))
    assert gone == ()


def test_damaged_ones_in_the_window_stay_and_are_no_base_of_it() -> None:
    taken = scheduled(11, 11, 2)
    window = Window(HOUR.total_seconds(), HALF_HOUR)
    gone = unwanted(catalogue(*taken), keep_one_day(), bad={taken[12].id}, window=window)
    assert gone == ()


def test_an_increment_builds_on_nothing_that_failed_its_verification() -> None:
    taken = scheduled(3)
    for bad in taken:
        decided = ground(job(), DB, "incr", catalogue(*taken), {bad.id}, T0 + HOUR)
        assert (decided.mode, decided.previous, decided.why) == ("full", "", f"{bad.id} failed its verification")
    assert ground(job(), DB, "incr", catalogue(*taken), (), T0 + HOUR).previous == taken[-1].id


def test_an_increment_builds_on_nothing_that_cannot_be_read_or_is_not_there_or_is_yet_to_come() -> None:
    taken = scheduled(3)
    unreadable = catalogue(*taken, unreadable=("20261102T030000Z-incr",))
    assert (
        ground(job(), DB, "incr", unreadable, (), T0 + HOUR).why
        == "the manifest of 20261102T030000Z-incr cannot be read"
    )
    gap = catalogue(taken[0], *taken[2:])
    assert ground(job(), DB, "incr", gap, (), T0 + HOUR).why == f"{taken[-1].id} builds on what is not there any more"
    early = ground(job(), DB, "incr", catalogue(*taken), (), T0)
    assert early.why == f"{taken[-1].id} reaches to 2026-11-02 02:15:00 UTC, which is yet to come: a clock was set back"


def test_the_first_increment_after_full_backups_goes_on_from_the_last_increment_before_them() -> None:
    windowed = job(full={"cron": "15 2 * * *"}, incremental={"every_s": 300})
    taken = scheduled(2, 0, 0)
    decided = ground(windowed, DB, "incr", catalogue(*taken), (), T0 + HOUR)
    assert decided.follows == (taken[2].id, taken[1].id, taken[3].id)
    assert decided.servers == ("prod-db-2", "prod-db-1")
    assert ground(job(), DB, "incr", catalogue(*taken), (), T0 + HOUR).follows == ()
    assert ground(windowed, DB, "incr", catalogue(*scheduled(2, 1)), (), T0 + HOUR).follows == ()


def test_each_server_is_asked_once_for_what_came_before_a_full_backup() -> None:
    windowed = job(full={"cron": "15 2 * * *"}, incremental={"every_s": 300})
    taken = scheduled(2, 1)
    unjoined = [*taken[:-1], replace(taken[-1], follows="")]
    assert ground(windowed, DB, "incr", catalogue(*unjoined), (), T0 + HOUR).servers == ("prod-db-1",)
    last = replace(unjoined[-1], id="last", previous=unjoined[-1].id, server="prod-db-1", sequence=9)
    assert ground(windowed, DB, "incr", catalogue(*unjoined, last), (), T0 + HOUR).servers == ()


def test_a_server_without_the_wal_of_before_a_full_backup_is_asked_last() -> None:
    """It was made anew after the last increment, which it had sent: its next one became a full backup."""
    windowed = job(full={"cron": "15 2 * * *"}, incremental={"every_s": 300})
    *taken, full = scheduled(2, 0)
    became_full = replace(full, why="the last backup ends before segment 7, and what was received here begins at 9")
    assert ground(windowed, DB, "incr", catalogue(*taken, full), (), T0 + HOUR).servers[0] == "prod-db-2"
    decided = ground(windowed, DB, "incr", catalogue(*taken, became_full), (), T0 + HOUR)
    assert decided.servers == ("prod-db-1", "prod-db-2")


def test_an_increment_may_build_on_a_timeline_that_was_not_backed_up_last() -> None:
    """The primary that was backed up last is not the one that lives on."""
    windowed = job(full={"cron": "15 2 * * *"}, incremental={"every_s": 300})
    old, new = (
        lineage({"system": "7", "timeline": number, "ancestors": ancestors})
        for number, ancestors in ((1, []), (2, [[1, "0/3000000"]]))
    )
    base, first, last = (replace(each, lineage=old) for each in scheduled(2))
    promoted = backup(T0 + HOUR, "incr", last, sequence=9, lineage=new, born=T0 + HOUR / 2)
    decided = ground(windowed, DB, "incr", catalogue(base, first, last, promoted), (), T0 + 2 * HOUR)
    assert (decided.previous, decided.others) == (promoted.id, (last.id, first.id, base.id))
    assert ground(windowed, DB, "incr", catalogue(base, first, last), (), T0 + HOUR).others == ()


def test_a_job_of_before_there_were_sequences_is_read_in_the_order_of_its_clock() -> None:
    taken = nightly(2, increments=2)
    assert [each.sequence for each in taken] == [0] * 6
    assert catalogue(*taken).until(None) == taken[3:]
