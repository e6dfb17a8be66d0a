"""What a run builds on when something else went wrong before it: each of these once made a hole in the window."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.backup_samples import DAY, HOUR, T0, Servers, backup, catalogue, manifest, nightly, stage, subject

from saltlick.backup.catalogue import Backup
from saltlick.backup.freshness import bad_ids
from saltlick.backup.history import Attempt
from saltlick.backup.retention import unwanted
from saltlick.backup.run import take
from saltlick.backup.verify import verify
from saltlick.errors import ServerFailed
from saltlick.fleet.ports import Reply

WINDOWED = {"full": {"cron": "15 2 * * *"}, "incremental": {"every_s": 3600}}
MINUTE = timedelta(minutes=1)


def test_a_store_that_could_not_be_reached_makes_no_backup_a_damaged_one(tmp_path: Path) -> None:
    there = nightly(2, increments=2)
    servers = Servers(*there)
    context = stage(servers, tmp_path)
    servers.answers["backup.verify"] = lambda server, call: Reply(False, error="the store cannot be reached")
    with pytest.raises(ServerFailed, match="the store cannot be reached"):
        verify(subject(), "all", context)
    past = context.history.of("prod", "database")
    assert [(entry.what, entry.ok, entry.error) for entry in past] == [
        (Attempt.UNVERIFIED, False, "prod-db-2: the store cannot be reached")
    ]
    assert bad_ids(past) == set()
    assert unwanted(catalogue(*there), subject().job.keep, bad_ids(past)) == ()
    assert take(subject(), "incr", context).backup.previous == there[-1].id


def test_what_was_found_damaged_stays_so_when_it_cannot_be_looked_at_again(tmp_path: Path) -> None:
    servers = Servers(*nightly(1))
    context = stage(servers, tmp_path)
    servers.answers["backup.verify"] = lambda server, call: Reply(
        True, {"id": call.args[2], "problems": ["base.tar.gz has other content"], "size": 1}
    )
    (found,) = verify(subject(), "all", context)
    servers.answers["backup.verify"] = lambda server, call: Reply(False, error="the store cannot be reached")
    with pytest.raises(ServerFailed):
        verify(subject(), "all", context)
    assert bad_ids(context.history.of("prod", "database")) == {found.backup}


@pytest.mark.parametrize("behind", [-10, 10])
def test_a_full_backup_ends_by_the_clock_of_the_primary(behind: int) -> None:
    """PostgreSQL refuses a moment before the end of a base backup, by the clock that stamped the commits."""
    first, second = backup(T0), backup(T0 + DAY)
    written = manifest(replace(second, ended=second.ended - behind * MINUTE))
    written["postgresql"]["consistent"] = f"{second.ended:%Y-%m-%d %H:%M:%S}.000000+00"
    read = Backup.read(written)
    assert read.ended == second.ended
    increment = backup(T0 + DAY + 2 * HOUR, "incr", read, follows=first.id)
    chains = catalogue(first, read, increment)
    assert chains.until(read.ended - MINUTE)[0] == first
    assert chains.until(read.ended)[0] == read


def test_an_increment_is_not_taken_from_a_standby_that_was_made_anew(tmp_path: Path) -> None:
    """It has no WAL from before, and a full backup would leave what is between on the primary only."""
    servers = Servers(*(replace(each, server="prod-db-1") for each in nightly(1, increments=2)))
    context = stage(servers, tmp_path)
    take(subject(**WINDOWED), "incr", context)
    take(subject(**WINDOWED), "full", context)
    assert [server for server, _ in servers.called("backup.take")] == ["prod-db-1", "prod-db-2"]


def test_the_standby_takes_increments_again_once_it_took_a_full_backup(tmp_path: Path) -> None:
    there = [replace(each, server="prod-db-1") for each in nightly(1, increments=1)]
    full = backup(T0 + DAY, server="prod-db-2")
    crossing = backup(T0 + DAY + HOUR, "incr", full, server="prod-db-1", follows=there[-1].id)
    servers = Servers(*there, full, crossing)
    take(subject(**WINDOWED), "incr", stage(servers, tmp_path))
    assert servers.called("backup.take")[0][0] == "prod-db-2"


def test_a_server_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    there = [replace(each, server="prod-db-1") for each in nightly(1, increments=1)]
    servers = Servers(*there, roles={"prod-db-1": "silent", "prod-db-2": "primary"})
    take(subject(**WINDOWED), "incr", stage(servers, tmp_path))
    assert servers.called("backup.take")[0][0] == "prod-db-2"
