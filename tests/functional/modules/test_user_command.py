"""Commands on servers: as a user, with a deadline, and nothing left running."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The helper, imported from beside the modules as Salt's loader does it."""
    monkeypatch.syspath_prepend(str(CHECKOUT / "_modules"))
    import _saltlick_user_command

    yield _saltlick_user_command
    sys.modules.pop("_saltlick_user_command", None)


def test_what_it_prints_and_what_it_is_given(command: Any, tmp_path: Path) -> None:
    assert command.run(["cat"], given="über\n") == "über\n"
    with (tmp_path / "out").open("wb") as out:
        assert command.run(["echo", 7], output=out) == ""
    assert (tmp_path / "out").read_text() == "7\n"
    assert command.run(["sh", "-c", "exit 3"], allowed=(0, 3)) == ""


def test_a_failure_has_the_command_its_code_and_its_last_lines(command: Any) -> None:
    from salt.exceptions import CommandExecutionError

    with pytest.raises(CommandExecutionError, match=r"^sh -c .* failed \(2\): two / three / four / five / six$"):
        command.run(["sh", "-c", "for n in one two three four five six; do echo $n >&2; done; exit 2"])
    with pytest.raises(CommandExecutionError, match=r"failed \(1\): it printed nothing"):
        command.run(["false"])
    with pytest.raises(CommandExecutionError, match="/nowhere cannot be run"):
        command.run(["/nowhere"])
    with pytest.raises(CommandExecutionError, match="there is no user nosuch here"):
        command.run(["true"], "nosuch")


def test_what_it_remarks_is_kept_whatever_its_exit_code(command: Any) -> None:
    from salt.exceptions import CommandExecutionError

    for code, failed in ((0, False), (3, True)):
        remarks: list[str] = []
        try:
            assert (
                command.run(["sh", "-c", f"echo out; echo one >&2; echo two >&2; exit {code}"], remarks=remarks)
                == "out\n"
            )
        except CommandExecutionError:
            assert failed
        assert remarks == ["one", "two"]


def test_at_its_deadline_it_ends_with_all_that_it_began(command: Any, tmp_path: Path) -> None:
    from salt.exceptions import CommandExecutionError

    pid = tmp_path / "pid"
    with pytest.raises(CommandExecutionError, match="no end after 1 s"):
        command.run(["sh", "-c", f"sleep 60 & echo $! > {pid}; wait"], deadline_s=1)
    stat = Path("/proc") / pid.read_text().strip() / "stat"
    deadline = time.monotonic() + 5
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}:
        assert time.monotonic() < deadline, "the child of the command still runs"
        time.sleep(0.05)
