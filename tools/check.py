"""Run the parts of the test suite, those that wait a lot side by side; say how long each took, and end with counts.

    python tools/check.py [--started EPOCH] [part ...]

Each part is a process of its own: the unit tests hold that no Salt is imported, and Salt's loaders leave traces.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
REPORTS = ROOT / ".saltlick" / "reports"
PARTS = ("lint", "unit", "functional", "packaging", "integration", "images", "formulas", "e2e")
IN_CONTAINERS = ("formulas", "e2e")
LANES = (("lint", "unit", "functional", "packaging", "integration"), ("images", "formulas"), ("e2e",))
"""Parts side by side: most of them wait a lot. The longest has a lane of its own."""
AFTER = {"e2e": "images"}
"""What has to be done in another lane first."""
SHOWING = threading.Lock()
NO_TESTS_COLLECTED = 5
# A test that hangs says where after ten minutes; what takes the time is printed.
PYTEST = ("-q", "--timeout=600", "--durations=12", "--durations-min=3")


@dataclass
class Counts:
    """How the tests of one part, or of all, came out."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __iadd__(self, other: Counts) -> Counts:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclass
class Part:
    """One row of the closing table."""

    name: str
    seconds: float
    counts: Counts = field(default_factory=Counts)
    note: str = ""


def lint(out: IO[str] | None = None) -> Counts:
    """Run every linter, also after one has failed."""
    counts = Counts()
    for command in linters():
        shown = " ".join(("$", Path(command[0]).name, *command[1:4], *(["…"] if len(command) > 4 else [])))
        print(shown, flush=True, file=out)
        ok = subprocess.run(command, cwd=ROOT, check=False, stdout=out, stderr=out).returncode == 0  # noqa: S603
        counts += Counts(passed=int(ok), failed=int(not ok))
    return counts


def linters() -> list[list[str]]:
    """The commands, with the files that git knows where a tool takes files only."""
    states = tracked("salt/*.sls", "orch/*.sls", "pillar/*.sls")
    yaml = tracked("*.yml", "*.yaml")
    commands = [
        [str(BIN / "ruff"), "check", "--quiet", "."],
        [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
        [str(BIN / "mypy"), "--no-error-summary"],
        [sys.executable, "tools/docs.py", ".saltlick/docs"],
    ]
    if yaml:
        commands.append([str(BIN / "yamllint"), "--strict", *yaml])
    if states:
        commands.append([str(BIN / "salt-lint"), *states])
    return commands


def images(out: IO[str] | None = None) -> Counts:
    """The images that servers of the sandbox boot from: minutes the first time, nothing after that."""
    if os.environ.get("SALTLICK_NO_ENGINE"):
        return Counts()
    command = [*as_root("e2e"), sys.executable, "-m", "saltlick.sandbox.image"]
    ok = subprocess.run(command, cwd=ROOT, check=False, stdout=out, stderr=out).returncode == 0  # noqa: S603
    return Counts(passed=int(ok), failed=int(not ok))


def tracked(*patterns: str) -> list[str]:
    """Files under version control (or about to be) that match, without what symlinks show twice."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return sorted(name for name in names.split("\0") if name and (ROOT / name).is_file())


def pytest(name: str, out: IO[str] | None = None) -> Counts:
    """Run the tests under one folder; what they print goes to `out` where one is given."""
    folder = ROOT / "tests" / name
    if not any(folder.rglob("test_*.py")):
        say(f"no tests in tests/{name}")
        return Counts()
    report = REPORTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    command = [*as_root(name), sys.executable, "-m", "pytest", *PYTEST, f"--junitxml={report}", f"tests/{name}"]
    env = None
    if name == "unit":  # plugins that are found by themselves import Salt: 1.5 s before the first test
        command += ["-p", "pytest_timeout"]
        env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    code = subprocess.run(command, cwd=ROOT, check=False, stdout=out, stderr=out, env=env).returncode  # noqa: S603
    counts = read_report(report)
    if code not in (0, NO_TESTS_COLLECTED) and not counts.failed:
        counts.failed += 1  # pytest itself broke: it has counted nothing, and nothing must not look like success
    if counts.skipped and name in IN_CONTAINERS and os.environ.get("CI") == "true":
        say(f"CI=true: {counts.skipped} skipped tests of {name} count as failed")
        counts = Counts(counts.passed, counts.failed + counts.skipped)
    return counts


def as_root(name: str) -> list[str]:
    """What goes before the tests that drive containers and packet filters, where we are not root but may be."""
    may_be = name in IN_CONTAINERS and os.geteuid() != 0 and not os.environ.get("SALTLICK_NO_ENGINE")
    return ["sudo", "-n", "-E", "env", f"PATH={os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE=1"] if may_be else []


def read_report(report: Path) -> Counts:
    """What one JUnit file says."""
    if not report.exists():
        return Counts()
    suite = next(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own file
    number = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    return Counts(number["tests"] - failed - number["skipped"], failed, number["skipped"])


def say(text: str) -> None:
    print(text, flush=True)


def banner(name: str) -> None:
    say(f"\n── {name} {'─' * (74 - len(name))}")


def table(parts: Sequence[Part]) -> None:
    """How long each part took and how it came out."""
    banner("how long it took")
    for part in parts:
        result = part.note or str(part.counts)
        say(f"  {part.name:<12} {part.seconds:8.1f} s   {result}")


def run(names: Sequence[str], started: float | None) -> int:
    """Run the parts, print the table and the closing line; 0 when nothing failed."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    began = started or time.time()
    rows = [Part("setup", time.time() - began, note="environment and container engine")] if started else []
    lanes = [wanted for lane in LANES if (wanted := [name for name in lane if name in names])]
    if len(lanes) > 1:
        done = {name: threading.Event() for name in names}
        with ThreadPoolExecutor() as pool:
            for finished in pool.map(lambda lane: [aside(name, began, done) for name in lane], lanes):
                rows += finished
    else:
        rows += [part(name, began) for lane in lanes for name in lane]
    total = Counts()
    for row in rows:
        total += row.counts
    table(rows)
    say(f"\n{total} in {time.time() - began:.1f}s")
    return int(total.failed > 0 or total.passed == 0)


def part(name: str, began: float, out: IO[str] | None = None) -> Part:
    """One part, which prints as it goes, or into a file."""
    if out is None:
        banner(f"{name} (after {time.time() - began:.0f} s)")
    clock = time.monotonic()
    counts = lint(out) if name == "lint" else images(out) if name == "images" else pytest(name, out)
    return Part(name, time.monotonic() - clock, counts)


def aside(name: str, began: float, done: Mapping[str, threading.Event]) -> Part:
    """One part beside others: what it prints is shown when it is done, whole."""
    try:
        if AFTER.get(name) in done:
            done[AFTER[name]].wait()
        log = REPORTS / f"{name}.log"
        say(f"{name}: begun after {time.time() - began:.0f} s (log: {log.relative_to(ROOT)})")
        with log.open("w", encoding="utf-8") as out:
            finished = part(name, began, out)
    finally:
        done[name].set()
    with SHOWING:
        banner(f"{name} (done after {time.time() - began:.0f} s)")
        say(log.read_text("utf-8", "replace"))
    return finished


def main() -> int:
    parser = argparse.ArgumentParser(description="run the parts of the test suite")
    parser.add_argument("--started", type=float, help="when the setup before this began, as seconds of the epoch")
    parser.add_argument("parts", nargs="*", metavar="part", help=" ".join(PARTS))
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part: {', '.join(sorted(unknown))} (there are: {' '.join(PARTS)})")
    return run(arguments.parts or PARTS, arguments.started)


if __name__ == "__main__":
    sys.exit(main())
