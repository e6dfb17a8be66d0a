"""Which backups stay: counts, chains, and that the last good one never goes."""

from __future__ import annotations

import itertools
import random

import pytest
from support.backup_samples import DAY, T0, backup, catalogue, nightly

from saltlick.backup.pillar import RetentionSpec
from saltlick.backup.retention import unwanted


def keep(**counts: int) -> RetentionSpec:
    return RetentionSpec.model_validate({"hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, **counts})


def test_the_newest_of_each_day_stays() -> None:
    there = nightly(10)
    gone = unwanted(catalogue(*there), keep(daily=3))
    assert set(gone) == {each.id for each in there[:7]}


def test_weeks_and_months_go_by_the_calendar() -> None:
    there = nightly(60)
    stays = {each.id for each in there} - set(unwanted(catalogue(*there), keep(weekly=2, monthly=2)))
    sundays = [each for each in there if each.began.weekday() == 6]
    months_ends = [each for each, after in itertools.pairwise(there) if each.began.month != after.began.month]
    assert stays == {sundays[-1].id, months_ends[-1].id, there[-1].id, there[-2].id}


def test_what_a_kept_one_builds_on_stays_with_it() -> None:
    there = nightly(3, increments=4)
    stays = {each.id for each in there} - set(unwanted(catalogue(*there), keep(daily=2)))
    assert stays == {each.id for each in there[5:]}


def test_an_incremental_one_goes_before_what_it_builds_on() -> None:
    there = nightly(3, increments=2)
    gone = unwanted(catalogue(*there), keep(daily=1), proved={there[6].id})
    assert list(gone) == [each.id for each in reversed(there[:6])]


def test_a_full_backup_that_nothing_proved_is_not_the_only_ground() -> None:
    there = nightly(4, increments=1)
    stays = {each.id for each in there} - set(unwanted(catalogue(*there), keep(daily=1)))
    assert stays == {each.id for each in there[4:]}
    stays = {each.id for each in there} - set(unwanted(catalogue(*there), keep(daily=1), proved={there[1].id}))
    assert stays == {each.id for each in (*there[:2], *there[4:])}
    stays = {each.id for each in there} - set(unwanted(catalogue(*there), keep(daily=1), proved={there[7].id}))
    assert stays == {each.id for each in there[6:]}


def test_the_last_good_one_stays_although_a_newer_one_is_damaged() -> None:
    there = nightly(3)
    gone = unwanted(catalogue(*there), keep(daily=1), bad={there[2].id}, proved={there[1].id})
    assert there[1].id not in gone
    assert there[0].id in gone


def test_what_builds_on_a_damaged_one_counts_as_damaged() -> None:
    old, new = nightly(2, increments=1)[:2], nightly(2, increments=1)[2:]
    gone = unwanted(catalogue(*old, *new), keep(daily=1), bad={new[0].id})
    assert not set(gone) & {each.id for each in old}


def test_nothing_is_deleted_where_nothing_good_would_be_left() -> None:
    there = nightly(2)
    assert unwanted(catalogue(*there), keep(daily=1), bad={each.id for each in there}) == ()
    assert unwanted(catalogue(), keep(daily=1)) == ()


def test_an_orphan_goes() -> None:
    base, link = nightly(1, increments=1)
    other = backup(T0 + DAY)
    assert unwanted(catalogue(link, other), keep(daily=7)) == (link.id,)
    assert unwanted(catalogue(base, link, other), keep(daily=7)) == ()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_there_no_orphan_is_left_at_any_moment(seed: int) -> None:
    """Deleting stops after each single step, as a killed run does: each that is left has all that it builds on."""
    dice = random.Random(seed)
    there = list(nightly(dice.randint(1, 20), dice.randint(0, 4)))
    counts = {name: dice.randint(0, 3) for name in ("hourly", "daily", "weekly", "monthly")} | {"daily": 1}
    bad = {each.id for each in there if dice.random() < 0.2}
    gone = unwanted(catalogue(*there), keep(**counts), bad)
    for done in range(len(gone) + 1):
        left = [each for each in there if each.id not in gone[:done]]
        assert all(catalogue(*left).whole(each) for each in left)
    sound = [each for each in there if not {link.id for link in catalogue(*there).chain(each)} & bad]
    if sound:
        assert sound[-1].id not in gone
