"""The execution module `requests_seen`, loaded by Salt's own loader, over logs as the formulas have them written."""

from __future__ import annotations

import datetime
import json
import time
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError
from support import minion_modules

NOON = 1_763_805_600
FORMS = {
    "nginx": lambda second: datetime.datetime.fromtimestamp(
        second, datetime.timezone(datetime.timedelta(hours=1))
    ).isoformat(),
    "haproxy": lambda second: time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(second)),
    "zulu": lambda second: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second)),
    "epoch": lambda second: second + 0.25,
}


@pytest.fixture(scope="module")
def count(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return minion_modules.modules(tmp_path_factory.mktemp("minion"), "requests_seen")["requests_seen.count"]


def _lines(seconds: Any, form: str = "nginx") -> str:
    return "".join(json.dumps({"time": FORMS[form](second), "status": "200"}) + "\n" for second in seconds)


@pytest.mark.parametrize("form", FORMS)
def test_requests_are_counted_by_second(count, tmp_path, form):
    log = tmp_path / "access.log"
    log.write_text(_lines([NOON - 1, NOON, NOON, NOON + 2, NOON + 3, NOON + 4], form))
    assert count(str(log), NOON, NOON + 3) == {str(NOON): 2, str(NOON + 2): 1, str(NOON + 3): 1}


def test_other_lines_are_no_requests(count, tmp_path):
    log = tmp_path / "access.log"
    log.write_text('started\n{"a": 1}\n{"time": "soon"}\n[]\n' + _lines([NOON]) + '\n{"time": "20')
    assert count(str(log), NOON, NOON) == {str(NOON): 1}


def test_lines_a_little_out_of_order_are_seen(count, tmp_path):
    log = tmp_path / "access.log"
    log.write_text(_lines([NOON + 20, NOON, NOON + 30, NOON + 1]))
    assert count(str(log), NOON, NOON + 5) == {str(NOON): 1, str(NOON + 1): 1}


def test_of_a_long_log_only_the_part_that_matters_is_read(count, tmp_path):
    """One request a second for a day. Two lines of the wanted time stand where none can be: who reads all would count them."""
    log = tmp_path / "access.log"
    astray = _lines([NOON - 30], "epoch")
    log.write_text(astray + _lines(range(NOON - 86_400, NOON), "epoch"))
    assert sum(count(str(log), NOON - 60, NOON).values()) == 60
    log.write_text(_lines(range(NOON - 86_400, NOON), "epoch") + astray.replace(str(NOON - 30), str(NOON - 49_950)))
    assert sum(count(str(log), NOON - 50_000, NOON - 49_901).values()) == 100


def test_a_log_that_was_rotated_meanwhile_is_read_from_before(count, tmp_path):
    log = tmp_path / "access.log"
    log.write_text(_lines([NOON + 5]))
    (tmp_path / "access.log.1").write_text(_lines([NOON - 900, NOON, NOON + 4]))
    assert count(str(log), NOON, NOON + 9) == {str(NOON): 1, str(NOON + 4): 1, str(NOON + 5): 1}
    log.write_text("")
    assert count(str(log), NOON, NOON + 9) == {str(NOON): 1, str(NOON + 4): 1}


def test_an_absent_log_is_said(count, tmp_path):
    with pytest.raises(CommandExecutionError, match=r"nothing\.log cannot be read: No such file"):
        count(str(tmp_path / "nothing.log"), NOON, NOON)


def test_errors_are_answers_of_500_and_more_of_that_time(tmp_path_factory, tmp_path):
    errors = minion_modules.modules(tmp_path_factory.mktemp("minion"), "requests_seen")["requests_seen.errors"]
    log = tmp_path / "access.log"
    answers = [(0, "500"), (1, "200"), (2, 502), (2, "499"), (3, "503"), (4, "-"), (5, "599"), (9, "500")]
    lines = [{"time": NOON + second, "status": status} for second, status in answers]
    log.write_text(
        "".join(json.dumps(line) + "\n" for line in [*lines, {"time": NOON + 3}, {"time": NOON + 4, "status": None}])
    )
    assert errors(str(log), NOON + 1, NOON + 5) == {"requests": 8, "errors": 3}
    (tmp_path / "access.log.1").write_text(log.read_text())
    log.write_text("")
    assert errors(str(log), NOON + 1, NOON + 5) == {"requests": 8, "errors": 3}
    with pytest.raises(CommandExecutionError, match=r"nothing\.log cannot be read: No such file"):
        errors(str(tmp_path / "nothing.log"), NOON, NOON)


def test_only_these_are_commands():
    assert minion_modules.commands("requests_seen") == {"requests_seen.count", "requests_seen.errors"}
