"""One run: which server, what is written down, what is deleted after it, and what is told when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.backup_samples import Servers, nightly, stage, subject

from saltlick.backup.run import take
from saltlick.errors import NotReady, ServerFailed
from saltlick.fleet.ports import Reply


def test_the_standby_is_taken_and_the_run_is_on_record(tmp_path: Path) -> None:
    servers = Servers()
    on = stage(servers, tmp_path)
    taken = take(subject(), "full", on, who="ann")
    ((server, call),) = servers.called("backup.take")
    assert server == "prod-db-2"
    assert call.args == ("vault", "database", "20261202T020000Z-full", "postgresql")
    assert taken.backup.id == "20261202T020000Z-full"
    (entry,) = on.history.of("prod", "database")
    assert (entry.ok, entry.backup, entry.server, entry.who) == (True, taken.backup.id, "prod-db-2", "ann")


@pytest.mark.parametrize("state", ["", "silent"])
def test_without_a_standby_the_primary_is_taken(tmp_path: Path, state: str) -> None:
    servers = Servers(roles={"prod-db-1": "primary", "prod-db-2": state})
    take(subject(), "full", stage(servers, tmp_path))
    assert servers.called("backup.take")[0][0] == "prod-db-1"


def test_no_database_anywhere(tmp_path: Path) -> None:
    on = stage(Servers(roles={"prod-db-1": "", "prod-db-2": "silent"}), tmp_path)
    with pytest.raises(NotReady, match=r"prod-db-1: PostgreSQL does not answer; prod-db-2: no answer"):
        take(subject(), "full", on)
    (entry,) = on.history.of("prod", "database")
    assert not entry.ok
    assert "prod-db-1" in entry.error


def test_what_backups_do_not_cover_is_said_before_a_job_begins(tmp_path: Path) -> None:
    servers = Servers()
    why = "this server has tablespaces of its own, which backups do not cover: fast (/srv/fast)"
    servers.answers["backup.holds"] = lambda server, call: Reply(True, {"holds": False, "role": "primary", "why": why})
    with pytest.raises(
        NotReady, match=r"prod-db-1: this server has tablespaces .*; prod-db-2: this server has tablespaces"
    ):
        take(subject(), "full", stage(servers, tmp_path))
    assert servers.called("backup.take") == []


def test_what_the_server_remarks_is_shown_with_what_was_not_deleted(tmp_path: Path) -> None:
    servers = Servers(*nightly(9))
    servers.remarks = ["/srv/cache: 2 files went away", "/srv/uploads is a mount point here"]
    servers.answers["backup.prune"] = lambda server, call: Reply(False, error="read only")
    taken = take(subject(), "full", stage(servers, tmp_path))
    assert taken.warning == (
        "/srv/cache: 2 files went away; /srv/uploads is a mount point here; nothing old was deleted: prod-db-2: read only"
    )


def test_what_is_not_wanted_any_more_and_what_killed_runs_left_is_deleted(tmp_path: Path) -> None:
    there = nightly(3)
    servers = Servers(*there)
    servers.unfinished = ["database/20261110T020000Z-full"]
    on = stage(servers, tmp_path)
    taken = take(subject(keep={"daily": 2, "weekly": 0, "monthly": 0}), "full", on)
    assert taken.deleted == (there[1].id, there[0].id, "20261110T020000Z-full")
    assert [each["id"] for each in servers.manifests] == [there[2].id, taken.backup.id]


def test_a_run_that_fails_deletes_nothing_and_is_on_record(tmp_path: Path) -> None:
    servers = Servers(*nightly(9))
    servers.answers["backup.take"] = lambda server, call: Reply(
        False, error="rsync failed (11): No space left on device"
    )
    on = stage(servers, tmp_path)
    with pytest.raises(ServerFailed, match="prod-db-2: rsync failed"):
        take(subject(), "full", on)
    assert not servers.called("backup.prune")
    assert on.history.of("prod", "database")[0].error == "prod-db-2: rsync failed (11): No space left on device"


def test_a_backup_is_good_although_old_ones_cannot_be_deleted(tmp_path: Path) -> None:
    servers = Servers(*nightly(9))
    servers.answers["backup.prune"] = lambda server, call: Reply(False, error="read only")
    taken = take(subject(keep={"daily": 1}), "full", stage(servers, tmp_path))
    assert taken.deleted == ()
    assert taken.warning == "nothing old was deleted: prod-db-2: read only"
