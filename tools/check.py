"""Run parts of the test suite, lanes side by side; end with times, the slowest tests and the counts.

    python -m tools.check [--started EPOCH] [part ...]

Each part is a process of its own: the unit tests hold that no Salt is imported, and Salt's loaders leave traces.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tools import parts
from tools.report import Counts, counts_of, judged, slowest

SLOWEST = 10


@dataclass(frozen=True)
class Row:
    """One part in the closing table."""

    name: str
    seconds: float
    counts: Counts = field(default_factory=Counts)
    note: str = ""


class Suite:
    """The parts that were asked for, in their lanes."""

    def __init__(self, names: Sequence[str], began: float) -> None:
        self.began = began
        self.lanes = [wanted for lane in parts.LANES if (wanted := [name for name in lane if name in names])]
        self._ended = {name: threading.Event() for name in names}
        self._printing = threading.Lock()

    def run(self) -> list[Row]:
        """Run all lanes side by side. The output of a lane that is alone is shown as it comes."""
        with ThreadPoolExecutor(max(1, len(self.lanes))) as pool:
            return [row for rows in pool.map(self._lane, self.lanes) for row in rows]

    def _lane(self, names: Sequence[str]) -> list[Row]:
        try:
            return [self._alone(name) if len(self.lanes) == 1 else self._beside(name) for name in names]
        finally:
            for name in names:
                self._ended[name].set()

    def _alone(self, name: str) -> Row:
        banner(f"{name} (after {self._elapsed():.0f} s)")
        return part(name)

    def _beside(self, name: str) -> Row:
        """Run a part into its log, and show the log as one block."""
        if (first := self._ended.get(parts.AFTER.get(name, ""))) is not None:
            first.wait()
        log = parts.REPORTS / f"{name}.log"
        say(f"{name}: begun after {self._elapsed():.0f} s (log: {log.relative_to(parts.ROOT)})")
        with log.open("w", encoding="utf-8") as out:
            row = part(name, out)
        self._ended[name].set()
        with self._printing:
            banner(f"{name} (done after {self._elapsed():.0f} s)")
            say(log.read_text("utf-8", "replace"))
        return row

    def _elapsed(self) -> float:
        return time.time() - self.began


def part(name: str, out: IO[str] | None = None) -> Row:
    """Run one part; its output goes to `out`, or to the terminal."""
    began = time.monotonic()
    if name in {"lint", "images"}:
        codes = [command(line, out) for line in (parts.linters() if name == "lint" else parts.images())]
        counts, note = Counts(passed=codes.count(0), failed=len(codes) - codes.count(0)), ""
    else:
        counts, note = tests(name, out)
    return Row(name, time.monotonic() - began, counts, note)


def command(words: Sequence[str], out: IO[str] | None) -> int:
    """Run a command that is not pytest, shown in short; returns its exit code."""
    print("$", Path(words[0]).name, *words[1:4], *(["…"] if len(words) > 4 else []), flush=True, file=out)
    return subprocess.run(words, cwd=parts.ROOT, check=False, stdout=out, stderr=out).returncode  # noqa: S603


def tests(name: str, out: IO[str] | None) -> tuple[Counts, str]:
    """Run the tests under one folder; returns their counts and a note."""
    report = report_of(name)
    report.unlink(missing_ok=True)
    words, more = parts.pytest(name, report)
    environ = {**os.environ, **more}
    done = subprocess.run(words, cwd=parts.ROOT, check=False, stdout=out, stderr=out, env=environ)  # noqa: S603
    strict = name in parts.IN_CONTAINERS and os.environ.get("CI") == "true"
    return judged(counts_of(report), done.returncode, skipping_fails=strict)


def report_of(name: str) -> Path:
    return parts.REPORTS / f"{name}.xml"


def summary(rows: Sequence[Row], elapsed: float) -> int:
    """Print the closing tables and the line of counts; returns the exit code."""
    banner("how long it took")
    for row in rows:
        result = "; ".join(filter(None, (str(row.counts) if row.counts != Counts() else "", row.note)))
        say(f"  {row.name:<12} {row.seconds:8.1f} s   {result}")
    if slow := slowest((report_of(row.name) for row in rows), SLOWEST):
        banner(f"the {len(slow)} slowest tests")
        for test in slow:
            say(f"  {test.seconds:8.1f} s   {test.name}")
    total = sum((row.counts for row in rows), Counts())
    say(f"\n{total} in {elapsed:.1f}s")
    return int(total.failed > 0 or total.passed == 0)


def say(text: str) -> None:
    print(text, flush=True)


def banner(name: str) -> None:
    say(f"\n── {name} {'─' * (74 - len(name))}")


def main() -> int:
    parser = argparse.ArgumentParser(description="run the parts of the test suite")
    parser.add_argument("--started", type=float, help="when the setup before this began, as seconds of the epoch")
    parser.add_argument("parts", nargs="*", metavar="part", help=" ".join(parts.PARTS))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(parts.PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))} (there are: {' '.join(parts.PARTS)})")
    parts.REPORTS.mkdir(parents=True, exist_ok=True)
    now = time.time()
    began = arguments.started or now
    setup = [Row("setup", now - began, note="environment and container engine")] if arguments.started else []
    rows = Suite(arguments.parts or parts.PARTS, began).run()
    return summary([*setup, *rows], time.time() - began)


if __name__ == "__main__":
    sys.exit(main())
