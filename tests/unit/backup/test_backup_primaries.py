"""Two primaries, and runs that are not like the one before: nothing is deleted until it is known what is right."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.backup_samples import DAY, T0, Servers, backup, manifest, nightly, stage, subject

from saltlick.backup.context import BackupContext, roles
from saltlick.backup.history import Attempt, BackupHistory
from saltlick.backup.run import take
from saltlick.errors import InvalidInput, NotReady, ServerFailed
from saltlick.fleet.ports import Reply
from saltlick.jobs.store import Store

BOTH = {"prod-db-1": "primary", "prod-db-2": "primary"}
KEEP_LITTLE = {"keep": {"daily": 1, "weekly": 0, "monthly": 0}}


def refused(servers: Servers, context: BackupContext, **how: Any) -> str:
    with pytest.raises(NotReady, match="more than one server is the primary") as caught:
        take(subject(**KEEP_LITTLE), "full", context, **how)
    assert not servers.called("backup.take")
    assert not servers.called("backup.prune")
    return str(caught.value)


def test_two_primaries_of_which_one_is_silent_are_two_until_somebody_says_which_lives_on(tmp_path: Path) -> None:
    servers = Servers(*nightly(9), roles=BOTH)
    context = stage(servers, tmp_path)
    refused(servers, context)
    servers.roles["prod-db-1"] = "silent"
    for _ in range(2):
        with pytest.raises(NotReady, match="prod-db-1 was a primary as well when it was seen last") as caught:
            take(subject(), "full", context)
        assert "server=prod-db-2 primary=prod-db-2." in str(caught.value)
    assert not servers.called("backup.take")
    take(subject(), "full", context, server="prod-db-2", primary="prod-db-2")
    take(subject(), "full", context)
    assert len(servers.called("backup.take")) == 2


def test_with_two_primaries_nothing_is_taken_or_deleted(tmp_path: Path) -> None:
    servers = Servers(*nightly(9), roles=BOTH)
    context = stage(servers, tmp_path)
    refused(servers, context)
    (attempt,) = context.history.of("prod", "database")
    assert not attempt.ok
    assert "prod-db-1, prod-db-2" in attempt.error
    assert roles(subject(), context).contested(subject()) == attempt.error


def test_the_next_step_that_is_printed_works_in_that_state(tmp_path: Path) -> None:
    servers = Servers(*nightly(9), roles=BOTH)
    context = stage(servers, tmp_path)
    for server, words in re.findall(
        r"salt-run backup\.run prod job=database server=(\S+) (primary=[a-z0-9-]+)", refused(servers, context)
    ):
        assert words == f"primary={server}"
        taken = take(subject(**KEEP_LITTLE), "full", context, server=server, primary=server)
        assert servers.called("backup.take")[-1][0] == server
        assert taken.backup.server == server
        assert taken.deleted == ()  # the run before it was refused, or another server is new
    assert len(servers.called("backup.take")) == 2


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"server": "prod-db-9"}, "server: prod-db-9 is not one of prod-db-1, prod-db-2"),
        ({"primary": "prod-db-9"}, "primary: prod-db-9 is not one of prod-db-1, prod-db-2"),
        ({"primary": "prod-db-2"}, "primary: prod-db-2 is not a primary; prod-db-1 is"),
    ],
)
def test_what_the_operator_says_has_to_be_so(tmp_path: Path, how: dict[str, Any], problem: str) -> None:
    servers = Servers()
    with pytest.raises(InvalidInput) as caught:
        take(subject(), "full", stage(servers, tmp_path), **how)
    assert [str(line) for line in caught.value.problems] == [problem]
    assert not servers.called("backup.take")


def test_a_standby_of_nobody_knows_whom_is_not_taken(tmp_path: Path) -> None:
    servers = Servers(roles={**BOTH, "prod-db-3": "standby"})
    three = replace(subject(), servers=("prod-db-1", "prod-db-2", "prod-db-3"))
    with pytest.raises(InvalidInput, match="nobody knows which primary prod-db-3 follows"):
        take(three, "full", stage(servers, tmp_path), server="prod-db-3", primary="prod-db-1")
    take(three, "full", stage(servers, tmp_path), primary="prod-db-1")
    assert servers.called("backup.take")[0][0] == "prod-db-1"


@pytest.mark.parametrize(("role", "why"), [("silent", "no answer"), ("", "as nobody")])
def test_who_is_not_seen_is_said(tmp_path: Path, role: str, why: str) -> None:
    servers = Servers(roles={"prod-db-1": role, "prod-db-2": "standby"})
    assert take(subject(), "full", stage(servers, tmp_path)).unseen == {"prod-db-1": why}


def test_the_server_that_the_operator_names_is_taken(tmp_path: Path) -> None:
    servers = Servers()
    take(subject(), "full", stage(servers, tmp_path), server="prod-db-1")
    assert servers.called("backup.take")[0][0] == "prod-db-1"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"server": "prod-db-1"}, "it is from prod-db-2, and {} from prod-db-1"),
        ({"raw_size": 40000}, "it is of 90 % less data than {}"),
        ({"lineage": (("7", (), 1),)}, "it is of another timeline or another cluster than {}"),
    ],
)
def test_a_run_that_is_not_like_the_one_before_deletes_nothing(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    there = nightly(9)
    there = (*there[:-1], replace(there[-1], **change))
    servers = Servers(*there)
    if "lineage" in change:
        servers.answers["backup.take"] = lambda server, call: Reply(
            True, manifest(backup(T0 + 30 * DAY, lineage=(("7", (), 1), ("7", ((1, "0/5"),), 2))))
        )
    taken = take(subject(**KEEP_LITTLE), "full", stage(servers, tmp_path))
    assert taken.deleted == ()
    assert taken.warning == f"nothing old was deleted: {reason.format(there[-1].id)}"


def test_a_run_after_one_that_failed_deletes_nothing_and_the_next_one_does(tmp_path: Path) -> None:
    servers = Servers(*nightly(9))
    context = stage(servers, tmp_path)
    servers.answers["backup.take"] = lambda server, call: Reply(False, error="No space left on device")
    with pytest.raises(ServerFailed):
        take(subject(**KEEP_LITTLE), "full", context)
    del servers.answers["backup.take"]
    first = take(subject(**KEEP_LITTLE), "full", context)
    assert (first.deleted, first.warning) == ((), "nothing old was deleted: the run before this one did not end well")
    assert take(subject(**KEEP_LITTLE), "full", context).deleted


def test_a_restore_takes_what_is_newest_and_deletes_nothing(tmp_path: Path) -> None:
    servers = Servers(*nightly(9))
    assert take(subject(**KEEP_LITTLE), "incr", stage(servers, tmp_path), prune=False).deleted == ()
    assert not servers.called("backup.prune")


def test_an_id_is_never_used_twice_though_the_clock_goes_back(tmp_path: Path) -> None:
    """No try of the last ones in the history had it, but the store does."""
    there = nightly(3)
    servers = Servers(*there)
    servers.unfinished = [f"database/{T0 + DAY * 2 + timedelta(seconds=1):%Y%m%dT%H%M%SZ}-full"]
    taken = take(subject(), "full", stage(servers, tmp_path, now=T0 + 2 * DAY))
    assert taken.backup.id == "20261104T020002Z-full"


def test_a_damaged_base_is_not_forgotten_after_a_thousand_runs(tmp_path: Path) -> None:
    history = BackupHistory(Store(tmp_path / "h.sqlite"))
    history.end(history.begin("prod", Attempt.VERIFY, "database", backup="bad"), ok=False, error="other content")
    for _ in range(30):
        history.end(history.begin("prod", Attempt.TAKE, "database"), ok=True)
    past = history.of("prod", "database", limit=10)
    assert [entry.what for entry in past] == [Attempt.TAKE] * 10 + [Attempt.VERIFY]


def test_after_a_damaged_base_the_next_increment_is_a_full_backup(tmp_path: Path) -> None:
    there = nightly(1, increments=2)
    servers = Servers(*there)
    context = stage(servers, tmp_path)
    context.history.end(
        context.history.begin("prod", Attempt.VERIFY, "database", backup=there[0].id), ok=False, error="x"
    )
    taken = take(subject(), "incr", context)
    assert (taken.backup.mode, taken.backup.why) == ("full", f"{there[0].id} failed its verification")
    assert take(subject(), "incr", context).backup.previous == taken.backup.id
