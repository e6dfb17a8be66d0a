"""What JUnit files say: counts of results, and the slowest tests."""

from __future__ import annotations

import heapq
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Counts:
    """How many tests passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclass(frozen=True, order=True)
class Timed:
    """One test and how long it took, its own share of the fixtures included."""

    seconds: float
    name: str


def counts_of(report: Path) -> Counts:
    """The counts in one JUnit file; none where pytest did not write it."""
    if not report.exists():
        return Counts()
    suite = next(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own file
    number = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    return Counts(number["tests"] - failed - number["skipped"], failed, number["skipped"])


def slowest(reports: Iterable[Path], count: int) -> list[Timed]:
    """The slowest tests of several JUnit files, the slowest first."""
    return heapq.nlargest(count, (timed for report in reports if report.exists() for timed in _timed(report)))


def _timed(report: Path) -> Iterator[Timed]:
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own file
        module = case.get("classname", "").removeprefix("tests.").replace(".", "/")
        yield Timed(float(case.get("time", "0")), f"{module}::{case.get('name')}")


def judged(counts: Counts, exit_code: int, *, skipping_fails: bool) -> tuple[Counts, str]:
    """The counts of a part as they go into the result, and a note where they are not pytest's own.

    A pytest that broke and one that collected nothing count as one failure: neither may look like success.
    """
    if not any((counts.passed, counts.failed, counts.skipped)):
        return Counts(failed=1), f"no test ran (exit code {exit_code})"
    if exit_code and not counts.failed:
        return counts + Counts(failed=1), f"pytest ended with exit code {exit_code}"
    if skipping_fails and counts.skipped:
        return Counts(
            counts.passed, counts.failed + counts.skipped
        ), f"CI=true: {counts.skipped} skipped count as failed"
    return counts, ""
