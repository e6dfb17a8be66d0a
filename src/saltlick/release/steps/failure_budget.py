"""The one place that decides, after each step and each batch, how a release goes on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from saltlick.release.journal.record import ServerStatus

if TYPE_CHECKING:
    from saltlick.release.run import Run
    from saltlick.release.step_result import Failed


class FailureVerdict(str, Enum):
    """How it goes on."""

    GO_ON = "go on"
    LEAVE_OUT = "leave out"  # the servers that failed; with the others it goes on
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class FailureDecision:
    """A verdict and why."""

    verdict: FailureVerdict
    reason: str = ""


def judge(run: Run, failed: Failed) -> FailureDecision:
    """How a release goes on after these failures. Requests of operators are read first: an abort wins."""
    run.read_controls()
    left_out = len(run.servers_with(ServerStatus.LEFT_OUT))
    budget = run.recipe.strategy.max_failures
    return decide(failed, left_out=left_out, max_failures=budget, abort=run.aborted)


def decide(failed: Mapping[str, str], *, left_out: int, max_failures: int, abort: str = "") -> FailureDecision:
    """Servers that `failed` (and why) beside those `left_out` before, against one budget for the whole release.

    A silent server is a failed one. An abort wins over all.
    """
    if abort:
        return FailureDecision(FailureVerdict.UNDO, abort)
    if not failed:
        return FailureDecision(FailureVerdict.GO_ON)
    reasons = "; ".join(f"{server}: {why}" for server, why in failed.items())
    if left_out + len(failed) <= max_failures:
        return FailureDecision(FailureVerdict.LEAVE_OUT, reasons)
    if not max_failures:
        return FailureDecision(FailureVerdict.UNDO, reasons)
    return FailureDecision(
        FailureVerdict.UNDO, f"{reasons} (that makes {left_out + len(failed)} servers, max_failures is {max_failures})"
    )
