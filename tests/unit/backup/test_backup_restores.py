"""Restores and drills: onto whom, which chain, and what becomes of the standbys."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.backup_samples import HOUR, T0, Servers, nightly, stage, subject

from saltlick.backup.history import Attempt
from saltlick.backup.restores import RestoreTarget, drill, restore
from saltlick.errors import NotReady, ServerFailed
from saltlick.fleet.ports import Reply

THERE = RestoreTarget(environment="test", servers=("test-db-1", "test-db-2"), store="prod-vault")
ROLES = {"prod-db-1": "primary", "prod-db-2": "standby", "test-db-1": "standby", "test-db-2": "primary"}
DRILL = {
    "environment": "test",
    "servers": "db",
    "store": "prod-vault",
    "checks": [{"name": "n", "database": "app", "query": "select 1"}],
}


def test_onto_the_primary_and_the_standby_is_made_anew(tmp_path: Path) -> None:
    there = nightly(1, increments=3)
    servers = Servers(*there, roles=ROLES)
    done = restore(subject(), THERE, stage(servers, tmp_path), moment=T0 + HOUR)
    ((server, call),) = servers.called("backup.restore")
    assert server == "test-db-2"
    assert call.args == ("prod-vault", "database", [there[0].id, there[1].id], "postgresql")
    assert call.kwargs["until"] == "2026-11-02 03:00:00.000000+00"
    assert call.kwargs["swap"] is True
    assert [server for server, _ in servers.called("backup.reseed")] == ["test-db-1"]
    assert done.kept == {"test-db-2": "/before", "test-db-1": "/before"}


def test_a_standby_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    servers = Servers(*nightly(1), roles=ROLES)
    servers.answers["backup.reseed"] = lambda server, call: Reply(False, error="no room")
    with pytest.raises(ServerFailed, match=r"restored, but without its standby; .*: test-db-1: no room"):
        restore(subject(), THERE, stage(servers, tmp_path))


@pytest.mark.parametrize(
    "roles", [{"test-db-1": "standby", "test-db-2": "standby"}, {"test-db-1": "primary", "test-db-2": "primary"}]
)
def test_without_exactly_one_primary_nothing_is_touched(tmp_path: Path, roles: dict[str, str]) -> None:
    servers = Servers(*nightly(1), roles=ROLES | roles)
    with pytest.raises(NotReady, match="the primary: test-db-1: "):
        restore(subject(), THERE, stage(servers, tmp_path))
    assert not servers.called("backup.restore")


def test_the_operator_names_the_server_where_none_is_left_to_ask(tmp_path: Path) -> None:
    servers = Servers(*nightly(1), roles=ROLES | {"test-db-1": "", "test-db-2": "standby"})
    there = RestoreTarget(environment="test", servers=THERE.servers, store="prod-vault", server="test-db-1")
    assert restore(subject(), there, stage(servers, tmp_path)).server == "test-db-1"


def test_a_moment_that_no_backup_reaches_touches_nothing(tmp_path: Path) -> None:
    servers = Servers(*nightly(1), roles=ROLES)
    on = stage(servers, tmp_path)
    with pytest.raises(NotReady, match="the store reaches from"):
        restore(subject(), THERE, on, moment=T0 + HOUR)
    assert not servers.called("backup.restore")
    assert not on.history.of("prod", "database")[0].ok


def test_a_drill_swaps_nothing_and_is_on_record(tmp_path: Path) -> None:
    servers = Servers(*nightly(1, increments=2), roles=ROLES)
    on = stage(servers, tmp_path)
    drill(subject(drill=DRILL), THERE, on)
    ((_, call),) = servers.called("backup.restore")
    assert call.kwargs["swap"] is False
    assert call.kwargs["checks"] == [{"name": "n", "database": "app", "query": "select 1"}]
    assert not servers.called("backup.reseed")
    assert [(entry.what, entry.ok) for entry in on.history.of("prod", "database")] == [(Attempt.DRILL, True)]


def test_a_drill_that_fails_is_on_record(tmp_path: Path) -> None:
    servers = Servers(*nightly(1), roles=ROLES)
    servers.answers["backup.restore"] = lambda server, call: Reply(
        False, error="1 of 1 checks failed: n: is 0, less than 1"
    )
    on = stage(servers, tmp_path)
    with pytest.raises(ServerFailed):
        drill(subject(drill=DRILL), THERE, on)
    assert on.history.of("prod", "database")[0].error == "test-db-2: 1 of 1 checks failed: n: is 0, less than 1"
