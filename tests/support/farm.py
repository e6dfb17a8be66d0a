"""Shared by the tests of the reference estate: a moto server behind the proxy, and `salt-run` without a master.

As a program, `python -m support.farm <config folder> <command> <argument>…` runs one command of the runner
without Salt's own start-up.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
import salt.config
from support import checker
from support.commands import run_typed

from bench import master
from bench.servers import Servers, running
from saltlick.commands.environment import commands
from saltlick.commands.result import CommandResult
from saltlick.demo.bus import deaf_bus

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
ESTATE = "control,prod,test"
NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Farm:
    """One moto server and one throw-away master configuration. boto3 in this process talks to moto directly."""

    servers: Servers
    config: Path

    def salt_run(self, *arguments: str, exit_code: int = 0, **faults: Any) -> master.Run:
        """One `salt-run` as an operator would start it, its calls counted from nought."""
        self.servers.reset(**{"latency_ms": 0, **faults})
        run = master.salt_run(self.config, *arguments, environ=self.servers.environ())
        assert run.code == exit_code, f"exit {run.code}:\n{run.stdout}\n{run.stderr}"
        return run

    def command(self, name: str, *arguments: Any, **keywords: Any) -> CommandResult:
        """What `salt-run environment.<name>` calls, in this process: two seconds quicker."""
        answer = self.try_command(name, *arguments, keywords=keywords)
        assert answer.retcode == 0, answer
        return answer

    def try_command(
        self, name: str, *arguments: Any, keywords: Mapping[str, Any] = NONE, **faults: Any
    ) -> CommandResult:
        """The same, however it ends, while the API has faults. Calls are counted from nought."""
        self.servers.reset(latency_ms=0, **faults)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", self.servers.url)
            return run_typed(getattr(commands, name), options(self.config), *arguments, **keywords)

    def stats(self) -> Mapping[str, Any]:
        """The calls of the last run."""
        return self.servers.stats()

    def changing_calls(self) -> dict[str, int]:
        """Those of them that create, modify or delete."""
        return {
            name: count
            for name, count in self.stats()["by_operation"].items()
            if not name.partition(":")[2].startswith(("Describe", "Get", "List"))
        }

    def require_exact(self, *environments: str) -> None:
        """The account holds exactly the reference estate, or those environments of it."""
        assert checker.problems(environments or ("control", "prod", "test")) == []


def options(config: Path) -> dict[str, Any]:
    """The master's configuration, as Salt reads it."""
    found: dict[str, Any] = salt.config.master_config(str(config / "master"))
    return found


@contextmanager
def farm(folder: Path, *, pillars: Path | None = None) -> Iterator[Farm]:
    """A farm with the repository's pillar, or another one."""
    config = master.write_config(folder, pillars=pillars)
    with (
        running(latency_ms=0) as servers,
        deaf_bus(Path(options(config)["sock_dir"])),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in servers.environ(direct=True).items():
            patch.setenv(name, value)
        yield Farm(servers, config)


if __name__ == "__main__":
    _, folder, command, *words = sys.argv
    sys.exit(run_typed(getattr(commands, command), options(Path(folder)), *words).retcode)
