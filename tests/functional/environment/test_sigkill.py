"""An apply killed with SIGKILL at any moment and run again: exactly the reference estate, nothing twice, nothing lost.

The proxy kills the whole process group when the k-th changing call has been carried out and not yet answered: AWS has
the object, and nobody was told. Positions walk over the length of the job.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import checker
from support.farm import ESTATE, ROOT, Farm, farm

if TYPE_CHECKING:
    from collections.abc import Iterator

POSITIONS = (1, 2, 9, 23, 41, 58, 74, 86, 97)
SALT_RUN = str(Path(sys.executable).with_name("salt-run"))
PLAIN = ("env", f"PYTHONPATH={ROOT}:{ROOT / 'tests'}", sys.executable, "-m", "support.farm")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with farm(tmp_path_factory.mktemp("master") / "salt") as made:
        yield made


def killed(account: Farm, after: int, *command: str) -> None:
    """Start a command, and have it killed when its `after`-th changing call is carried out."""
    process = subprocess.Popen(
        command,
        env=account.servers.environ(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    account.servers.reset(latency_ms=5, kill_group=process.pid, kill_after=after)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == -9, output.decode()
    assert account.stats()["killed"] == 1


def plainly(account: Farm, *command: str) -> tuple[str, ...]:
    """A command of the runner without Salt's start-up, so that there is time for many positions."""
    return (*PLAIN, str(account.config), *command)


@pytest.mark.parametrize("position", POSITIONS)
def test_killed_while_applying(account: Farm, position: int) -> None:
    account.servers.reset_aws()
    killed(account, position, *plainly(account, "apply", ESTATE))
    account.command("apply", ESTATE)
    account.require_exact()


def test_salt_run_killed_again_and_again(account: Farm) -> None:
    """Each run is killed a little further on; the last is left to finish."""
    account.servers.reset_aws()
    for _ in range(3):
        killed(account, 17, SALT_RUN, "-c", str(account.config), "environment.apply", ESTATE)
    account.salt_run("environment.apply", ESTATE)
    account.require_exact()


@pytest.mark.parametrize("position", [2, 30])
def test_killed_while_destroying(account: Farm, position: int) -> None:
    """The next run takes away what was left."""
    account.servers.reset_aws()
    account.command("apply", ESTATE)
    code = f"confirm={ESTATE}"
    killed(account, position, SALT_RUN, "-c", str(account.config), "environment.destroy", ESTATE, code)
    account.command("destroy", ESTATE, confirm=ESTATE)
    assert checker.leftovers() == []
