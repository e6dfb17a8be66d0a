"""Scripts over restored data: SQL for a database, a command for everything else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from saltlick.backup.pillar import BackupKind, Script


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({}, "exactly one of `sql` and `command`"),
        ({"database": "app"}, "exactly one of `sql` and `command`"),
        ({"database": "app", "sql": "select 1", "command": "true"}, "exactly one of `sql` and `command`"),
        ({"sql": "select 1"}, "`sql` and `database` go together"),
        ({"command": "true", "database": "app"}, "`sql` and `database` go together"),
        ({"database": "app", "sql": "select 1", "user": "app"}, "`user` goes with `command`"),
        ({"database": "app", "sql": ""}, "at least 1 character"),
    ],
)
def test_what_is_no_script(raw: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Script.model_validate(raw)


def test_which_data_it_suits() -> None:
    sql = Script.model_validate({"database": "app", "sql": "select 1"})
    command = Script.model_validate({"command": "true", "user": "zeo"})
    assert [kind.value for kind in BackupKind if sql.suits(kind)] == ["postgresql"]
    assert [kind.value for kind in BackupKind if command.suits(kind)] == ["zodb", "directories"]
