"""The execution module `dbrole`, loaded by Salt's own loader. A real PostgreSQL is asked in tests/formulas/postgresql."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from support import minion_modules


@pytest.fixture(scope="module")
def get(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return minion_modules.modules(tmp_path_factory.mktemp("minion"), "dbrole")["dbrole.get"]


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """What the formula writes, with a bin_dir where `psql` below may be put."""
    path = tmp_path / "postgresql.json"
    me = pwd.getpwuid(os.geteuid()).pw_name
    path.write_text(json.dumps({"user": me, "bin_dir": str(tmp_path), "socket_dir": "/run/here", "port": 5433}))
    return path


def psql(folder: Path, script: str) -> None:
    """A psql that keeps what it was called with."""
    path = folder / "psql"
    path.write_text(f'#!/bin/sh\necho "$@" > {folder}/called\n{script}\n')
    path.chmod(0o755)


@pytest.mark.parametrize(("said", "role"), [("f", "primary"), ("t", "standby")])
def test_the_database_says(get, facts, tmp_path, said, role):
    psql(tmp_path, f"echo {said}")
    assert get(facts=str(facts)) == {"role": role, "by": "postgresql", "seen": f"pg_is_in_recovery() is {said}"}
    called = (tmp_path / "called").read_text()
    assert "-h /run/here -p 5433" in called
    assert " -XAtqw " in f" {called} "  # nobody is there to type a password


def test_a_database_that_refuses_is_down_and_its_words_are_told(get, facts, tmp_path):
    psql(tmp_path, "echo 'FATAL:  the database system is starting up' >&2; exit 2")
    assert get(facts=str(facts)) == {
        "role": "down",
        "by": "postgresql",
        "seen": "FATAL: the database system is starting up",
    }


@pytest.mark.parametrize(
    ("script", "seen"),
    [("exit 1", "psql ended with 1"), ("echo maybe", "maybe"), ("echo f; exit 1", "f"), ("true", "psql ended with 0")],
)
def test_an_answer_that_is_none_is_no_role(get, facts, tmp_path, script, seen):
    psql(tmp_path, script)
    assert get(facts=str(facts)) == {"role": "down", "by": "postgresql", "seen": seen}


def test_a_database_that_hangs_is_down(get, facts, tmp_path):
    psql(tmp_path, "exec sleep 60")
    assert get(facts=str(facts), timeout_s=0.2)["seen"] == "no answer in 0.2 s"


def test_without_its_programs_a_database_is_down(get, facts, tmp_path):
    assert get(facts=str(facts)) == {
        "role": "down",
        "by": "postgresql",
        "seen": f"{tmp_path}/psql: No such file or directory",
    }


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"user": "root"}'])
def test_facts_that_are_none_are_an_error(get, tmp_path, content):
    (tmp_path / "facts").write_text(content)
    with pytest.raises(CommandExecutionError, match="is not what the postgresql formula writes"):
        get(facts=str(tmp_path / "facts"))


def test_a_database_that_is_not_here_is_an_error_when_it_is_asked_for(get, tmp_path):
    with pytest.raises(CommandExecutionError, match="the postgresql formula was not applied here"):
        get(by="postgresql", facts=str(tmp_path / "none"))


@pytest.mark.parametrize(("word", "role"), [("MASTER", "primary"), ("BACKUP", "standby"), ("", "down"), ("x", "down")])
def test_keepalived_says_where_there_is_no_postgresql(get, tmp_path, word, role):
    (tmp_path / "state").write_text(f"{word}\n")
    assert get(facts=str(tmp_path / "none"), state_file=str(tmp_path / "state")) == {
        "role": role,
        "by": "keepalived",
        "seen": f"{tmp_path}/state says {word!r}",
    }


def test_keepalived_can_be_asked_beside_postgresql(get, facts, tmp_path):
    psql(tmp_path, "echo t")
    (tmp_path / "state").write_text("MASTER\n")
    assert get(by="keepalived", facts=str(facts), state_file=str(tmp_path / "state"))["role"] == "primary"
    assert get(by="postgresql", facts=str(facts), state_file=str(tmp_path / "state"))["role"] == "standby"


def test_where_neither_is_that_is_an_error(get, tmp_path):
    with pytest.raises(CommandExecutionError, match="state is missing: the keepalived formula was not applied here"):
        get(facts=str(tmp_path / "none"), state_file=str(tmp_path / "state"))


def test_nobody_else_is_asked(get):
    with pytest.raises(SaltInvocationError, match="'mysql', and can be postgresql or keepalived"):
        get(by="mysql")


def test_only_get_is_a_command():
    assert minion_modules.commands("dbrole") == {"dbrole.get"}
