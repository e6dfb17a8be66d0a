"""Which timeline served at a moment, and which chain that moment is restored from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from support.backup_samples import HOUR, T0, backup, catalogue, manifest

from saltlick.backup.catalogue import Backup
from saltlick.backup.timelines import Lineage, lineage
from saltlick.errors import NotReady

MINUTE = timedelta(minutes=1)


def line(*ancestors: tuple[int, str], number: int) -> Lineage:
    return lineage({"system": "7", "timeline": number, "ancestors": [list(ancestor) for ancestor in ancestors]})


FIRST = line(number=1)
PROMOTED = line((1, "0/9000000"), number=2)
RESTORED = line((1, "0/3000000"), number=3)


def chain(
    at: datetime, lines: Lineage, *, sequence: int, born: datetime | None = None, reaches: datetime
) -> list[Backup]:
    """A full backup and one increment of a timeline."""
    more: dict[str, Any] = {"lineage": lines, "born": born}
    base = backup(at, sequence=sequence, **more)
    return [base, backup(reaches, "incr", base, sequence=sequence + 1, **more)]


def test_a_manifest_with_timelines_is_read_as_it_was_written() -> None:
    one = backup(T0, lineage=PROMOTED, born=T0, sequence=4, follows="x")
    assert Backup.read(manifest(one)) == one


def test_a_chain_that_crosses_a_failover_gives_moments_before_and_after_it() -> None:
    base, before = chain(T0, FIRST, sequence=1, reaches=T0 + HOUR)
    after = backup(T0 + 3 * HOUR, "incr", before, sequence=3, lineage=PROMOTED, born=T0 + 2 * HOUR)
    store = catalogue(base, before, after)
    assert store.until(T0 + HOUR / 2) == (base, before)
    for moment in (T0 + 90 * MINUTE, T0 + 150 * MINUTE):
        assert store.until(moment) == (base, before, after)


def test_a_moment_after_a_failover_is_not_taken_from_a_former_primary_that_went_on() -> None:
    stale = chain(T0, FIRST, sequence=1, reaches=T0 + 5 * HOUR)
    lives = chain(T0 + 2 * HOUR, PROMOTED, sequence=3, born=T0 + 100 * MINUTE, reaches=T0 + 5 * HOUR)
    store = catalogue(*stale, *lives)
    assert store.until(T0 + 4 * HOUR) == tuple(lives)
    assert store.until(T0 + 90 * MINUTE) == tuple(stale)
    with pytest.raises(NotReady, match="of a timeline that another one had taken the place of"):
        store.until(T0 + 110 * MINUTE)


def test_before_a_restore_served_what_was_restored_over() -> None:
    """Back to 02:30 at 05:00: what served at 04:00 is of the timeline of before."""
    before = chain(T0, FIRST, sequence=1, reaches=T0 + 3 * HOUR)
    after = chain(T0 + 3 * HOUR + MINUTE, RESTORED, sequence=3, born=T0 + 3 * HOUR, reaches=T0 + 4 * HOUR)
    store = catalogue(*before, *after)
    assert store.until(T0 + 2 * HOUR) == tuple(before)
    assert store.until(T0 + 200 * MINUTE) == tuple(after)


def test_where_the_older_timeline_is_backed_up_again_it_had_lived_on() -> None:
    stale = chain(T0 + 2 * HOUR, PROMOTED, sequence=3, born=T0 + HOUR, reaches=T0 + 5 * HOUR)
    lives = chain(T0, FIRST, sequence=1, reaches=T0 + 3 * HOUR)
    later = backup(T0 + 6 * HOUR, "incr", lives[-1], sequence=5, lineage=FIRST)
    assert catalogue(*lives, *stale, later).until(T0 + 4 * HOUR) == (*lives, later)


def test_two_timelines_of_one_number_are_two() -> None:
    one = chain(T0, line((1, "0/9000000"), number=2), sequence=1, born=T0 - HOUR, reaches=T0 + 3 * HOUR)
    other = chain(T0 + HOUR, line((1, "0/3000000"), number=2), sequence=3, born=T0 + 50 * MINUTE, reaches=T0 + 4 * HOUR)
    assert catalogue(*one, *other).until(T0 + 2 * HOUR) == tuple(other)
    assert catalogue(*one, *other).until(T0 + 30 * MINUTE) == tuple(one)


def test_what_does_not_say_its_timelines_serves_any_moment() -> None:
    there = chain(T0, (), sequence=1, reaches=T0 + HOUR)
    later = chain(T0 + 2 * HOUR, PROMOTED, sequence=3, born=T0 + 2 * HOUR, reaches=T0 + 3 * HOUR)
    assert catalogue(*there, *later).until(T0 + HOUR / 2) == tuple(there)


def restored_back(*, last_one: bool) -> tuple[list[Backup], list[Backup]]:
    """Back to 01:10 at 05:00; the increment before that was taken or failed."""
    base, first = chain(T0, FIRST, sequence=1, reaches=T0 + HOUR)
    second = backup(T0 + 2 * HOUR, "incr", first, sequence=3, lineage=FIRST)
    before = [base, first, second]
    if last_one:
        before.append(backup(T0 + 3 * HOUR, "incr", second, sequence=4, lineage=FIRST))
    more: dict[str, Any] = {"lineage": RESTORED, "born": T0 + 3 * HOUR, "left": (T0 + 70 * MINUTE,)}
    after = [base, first, backup(T0 + 4 * HOUR, "incr", first, sequence=5, **more)]
    return before, after


def test_what_a_restore_went_back_behind_is_not_taken_from_the_timeline_that_it_began() -> None:
    """Its increment goes on from the backup at 01:00 and reaches 04:00; of 01:10 to 03:00 it has nothing."""
    before, after = restored_back(last_one=False)
    store = catalogue(*before, after[-1])
    assert store.until(T0 + 90 * MINUTE) == tuple(before)
    assert store.until(T0 + 200 * MINUTE) == tuple(after)
    with pytest.raises(
        NotReady,
        match=r"had left before\. The nearest moments that can be restored: 2026-11-02 04:00:00 and 2026-11-02 05:00:00 UTC",
    ):
        store.until(T0 + 150 * MINUTE)


def test_what_was_backed_up_before_a_restore_is_taken_from_the_timeline_of_before() -> None:
    before, after = restored_back(last_one=True)
    store = catalogue(*before, after[-1])
    assert store.until(T0 + 150 * MINUTE) == tuple(before)
    assert store.until(T0 + 69 * MINUTE) == tuple(before[:3])


def test_a_manifest_says_where_a_restore_left_the_timeline_before() -> None:
    one = backup(T0, lineage=RESTORED, born=T0, left=(T0 - HOUR,))
    assert Backup.read(manifest(one)).left == (T0 - HOUR,)
