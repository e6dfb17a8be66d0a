"""`salt-run database.*` as typed, without a running master: what is wrong is said before anybody is asked."""

from __future__ import annotations

from typing import Any

import pytest
from support.two_environments import answer, two_environments


@pytest.fixture
def two(master: Any) -> Any:
    return two_environments(master)


@pytest.mark.parametrize("function", ["status", "switchover", "promote", "reinit", "pause", "resume"])
def test_an_environment_without_a_database_is_said(two: Any, function: str) -> None:
    done = answer(two, f"database.{function}", "two")
    assert done["retcode"] == 2
    assert "no group of servers has the role postgresql" in done["error"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["one,two"], "one environment at a time"),
        (["two", "force=True"], "force: is not an argument"),
        (["two", "prod-db-2"], "is one argument too many"),
    ],
)
def test_what_is_typed_wrong_is_refused(two: Any, words: list[str], text: str) -> None:
    done = answer(two, "database.promote", *words)
    assert done["retcode"] == 2
    assert text in done["error"]
