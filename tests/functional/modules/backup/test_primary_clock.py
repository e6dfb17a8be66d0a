"""How far a backup of a standby reaches goes by the clock of the primary, which stamps the commits."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[4]
PSQL = """#!/bin/sh
case "$*" in
*host=10.0.0.1*is_in_recovery*) echo {primary} ;;
*is_in_recovery*) echo t ;;
*host=10.0.0.1*pg_current_wal_flush_lsn*) echo '1700000000.5|0/5000000' ;;
*pg_current_wal_flush_lsn*) echo 'recovery is in progress' >&2; exit 1 ;;
*pg_stat_replication*|*pg_last_wal_receive_lsn*) echo 0/5000000 ;;
esac
"""
"""Of a standby whose primary's clock shows the year 2023."""


@pytest.fixture
def postgresql(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(CHECKOUT / "_modules"))
    before = set(sys.modules)
    import _saltlick_backup_postgresql

    yield _saltlick_backup_postgresql
    for name in set(sys.modules) - before:
        if name.startswith("_saltlick_"):
            del sys.modules[name]


def standby(folder: Path, *, primary: str) -> dict[str, Any]:
    psql = folder / "psql"
    psql.write_text(PSQL.format(primary=primary), "utf-8")
    psql.chmod(0o755)
    own = pwd.getpwuid(os.geteuid()).pw_name
    login = {"replication_user": "replica", "passfile": "/dev/null", "user": own, "receiver": "pg_receivewal"}
    members = {"prod-db-1": "10.0.0.1"}
    return {"bin_dir": str(folder), "socket_dir": str(folder), "port": "5432", "members": members, **login}


def test_an_increment_reaches_to_what_the_clock_of_the_primary_shows(postgresql: Any, tmp_path: Path) -> None:
    reached = postgresql._caught_up(standby(tmp_path, primary="f"))
    assert reached == ("2023-11-14 22:13:20.500000+00", 0x5000000, True)


def test_without_a_primary_nobody_vouches_for_it(postgresql: Any, tmp_path: Path) -> None:
    before = postgresql.now()
    moment, position, vouched = postgresql._caught_up(standby(tmp_path, primary="t"))
    assert (position, vouched) == (0x5000000, False)
    assert before <= moment <= postgresql.now()
