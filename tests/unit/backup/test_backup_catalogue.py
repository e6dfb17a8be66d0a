"""Chains of backups, and which of them a moment needs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.backup_samples import DAY, HOUR, T0, backup, catalogue, manifest, nightly

from saltlick.backup.catalogue import Backup, Catalogue, after
from saltlick.errors import NotReady

MINUTE = timedelta(minutes=1)


def test_a_manifest_is_read_as_it_was_written() -> None:
    full, link = nightly(1, increments=1)
    assert Backup.read(manifest(full)) == full
    assert Backup.read(manifest(link)) == link


def test_what_a_store_tells_is_sorted_and_other_jobs_are_left_out() -> None:
    first, second = nightly(2)
    other = backup(T0, job="files")
    told = {
        "manifests": [manifest(second), manifest(other), manifest(first)],
        "unfinished": ["database/x", "files/y"],
        "unreadable": [],
    }
    found = Catalogue.read(told, "database")
    assert found.backups == (first, second)
    assert found.unfinished == ("x",)


def test_a_moment_gets_the_chain_that_reaches_it_and_no_more() -> None:
    there = nightly(2, increments=3)
    assert catalogue(*there).until(T0 + HOUR + MINUTE) == there[:3]
    assert catalogue(*there).until(T0 + DAY + 2 * HOUR) == there[4:7]


def test_no_moment_gets_the_newest_chain_whole() -> None:
    there = nightly(2, increments=3)
    assert catalogue(*there).until(None) == there[4:]


def test_a_moment_that_no_chain_covers_is_said() -> None:
    """After the last increment of one night and before the next full backup, nothing was kept."""
    there = nightly(2, increments=1)
    with pytest.raises(
        NotReady, match=r"reaches from 2026-11-02 02:01:00 to 2026-11-03 03:00:00 UTC, not 2026-11-02 12:00:00"
    ):
        catalogue(*there).until(T0 + 10 * HOUR)


def test_a_moment_before_the_first_backup_and_after_the_last() -> None:
    there = nightly(1, increments=1)
    for moment in (T0 - HOUR, T0 + 2 * HOUR, T0 + timedelta(seconds=30)):
        with pytest.raises(NotReady, match="the store reaches from"):
            catalogue(*there).until(moment)


def test_a_chain_with_a_gap_is_none() -> None:
    full, first, second = nightly(1, increments=2)
    broken = catalogue(full, second)
    assert not broken.whole(second)
    assert broken.until(None) == (full,)
    with pytest.raises(NotReady, match=f"builds on {first.id}, which the store does not have"):
        broken.chain(second)


def test_nothing_there() -> None:
    with pytest.raises(NotReady, match="no finished backup"):
        catalogue().until(None)


def test_ids_go_by_the_second_and_are_nobody_elses() -> None:
    assert after(T0, [], "full") == "20261102T020000Z-full"
    assert after(T0, ["20261102T020000Z-incr", "20261102T020001Z-full"], "full") == "20261102T020002Z-full"
