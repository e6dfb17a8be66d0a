"""The parts of the test suite: which run beside which, and the commands of each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
REPORTS = ROOT / ".saltlick" / "reports"
LANES = (("lint", "unit", "functional", "packaging", "integration"), ("images", "formulas"), ("e2e",))
"""Lanes run side by side, the parts of a lane in turn. Most parts wait a lot; the longest has a lane of its own."""
PARTS = tuple(name for lane in LANES for name in lane)
AFTER = {"e2e": "images"}
"""The part of another lane that has to end first."""
IN_CONTAINERS = frozenset({"formulas", "e2e"})
# A test that hangs shows its stack after ten minutes; durations under three seconds are noise.
PYTEST = ("-q", "--timeout=600", "--durations=12", "--durations-min=3")


def linters() -> list[list[str]]:
    """The commands of `lint`, with the files of git where a tool takes only files."""
    commands = [
        [str(BIN / "ruff"), "check", "--quiet", "."],
        [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
        [str(BIN / "mypy"), "--no-error-summary"],
        [sys.executable, "tools/docs.py", ".saltlick/docs"],
    ]
    if yaml := tracked("*.yml", "*.yaml"):
        commands.append([str(BIN / "yamllint"), "--strict", *yaml])
    if states := tracked("salt/*.sls", "orch/*.sls", "pillar/*.sls"):
        commands.append([str(BIN / "salt-lint"), *states])
    return commands


def tracked(*patterns: str) -> list[str]:
    """Files in git, or not ignored by it, that match; without what symlinks show twice."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return sorted(name for name in names.split("\0") if name and (ROOT / name).is_file())


def images() -> list[list[str]]:
    """The command that builds the images of the sandbox's servers: minutes the first time, nothing after that."""
    no_engine = os.environ.get("SALTLICK_NO_ENGINE")
    return [] if no_engine else [[*as_root("images"), sys.executable, "-m", "saltlick.sandbox.image"]]


def pytest(name: str, report: Path) -> tuple[list[str], Mapping[str, str]]:
    """The pytest command of a part, and what it adds to the environment."""
    command = [*as_root(name), sys.executable, "-m", "pytest", *PYTEST, f"--junitxml={report}", f"tests/{name}"]
    if name == "unit":  # plugins that are found by themselves import Salt: 1.5 s before the first test
        return [*command, "-p", "pytest_timeout"], {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return command, {}


def as_root(name: str) -> list[str]:
    """The words before a command that drives containers and packet filters, for an account that is not root but may be."""
    wanted = name == "images" or name in IN_CONTAINERS
    if not wanted or os.geteuid() == 0 or os.environ.get("SALTLICK_NO_ENGINE"):
        return []
    return ["sudo", "-n", "-E", "env", f"PATH={os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE=1"]
