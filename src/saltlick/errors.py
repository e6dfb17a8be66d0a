"""Every error Saltlick raises on purpose, branched by what the reader can do about it.

SaltlickError
├── InvalidInput        fix the pillar or the arguments; nothing was changed    exit 2
│   └── NeedsDecision   the plan holds a step not requested yet                 exit 2
├── Locked              another job has the environment; wait or ask its owner  exit 3
├── AwsError            AWS answered no                                         exit 4
│   ├── AwsThrottled    AWS answered "slower"; safe to repeat
│   └── AwsUnclear      no answer, or 5xx: it may or may not have happened
├── WaitTimeout         something was not seen in time                          exit 4
├── ApplyFailed         some actions failed, each named                         exit 4
├── ServerFailed        a server did not do what it was asked                   exit 4
├── CustodianFailed     Cloud Custodian did not do what it was asked            exit 4
└── NotReady            what the job needs is not there; nothing was touched    exit 7

How a release came out has codes of its own: `release.record.Result.exit_code` (0, 5, 6, 7, 8).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from saltlick.words import clean


class SaltlickError(Exception):
    """Base of all: the message says what was tried, on what, what came back and what to do next.

    What came back is somebody else's text, so the message is cleaned.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, *given: object) -> None:
        super().__init__(*(clean(each) if isinstance(each, str) else each for each in given))


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with the input: `path` where it stands (`environment.subnets.private.cidrs[1]`), `message` why."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidInput(SaltlickError):
    """The pillar or the arguments are wrong. Carries all problems at once; nothing was touched."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem | str], *, what: str = "input") -> None:
        self.problems = tuple(p if isinstance(p, Problem) else Problem("", p) for p in problems)
        count = len(self.problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{what}: {count} problem{'s' if count != 1 else ''}, nothing was touched{lines}")


class NeedsDecision(InvalidInput):
    """The plan holds a replacement or deletion that has to be asked for by name."""


class Locked(SaltlickError):
    """Another job holds the environment's lock."""

    exit_code = 3


class AwsError(SaltlickError):
    """AWS refused a call. `code` is AWS's own error code; decide by it, never by the text."""

    def __init__(self, operation: str, code: str, message: str, request_id: str = "") -> None:
        self.operation = operation
        self.code = code
        self.request_id = request_id
        suffix = f" (request {request_id})" if request_id else ""
        super().__init__(f"{operation}: {code}: {message}{suffix}")

    @property
    def not_found(self) -> bool:
        """The object named in the call does not exist, or AWS does not show it yet."""
        return self.code.endswith(("NotFound", ".NotFoundException", "NotFoundException")) or self.code in {
            "NoSuchEntity",
            "InvalidAllocationID.NotFound",
        }


class AwsThrottled(AwsError):
    """AWS asked us to slow down and kept asking past the deadline. The call was not carried out."""


class AwsUnclear(AwsError):
    """No answer, or a server error: the call may or may not have been carried out."""


class WaitTimeout(SaltlickError):
    """Something was not seen within its deadline. `last` is the last state that was seen."""

    def __init__(self, what: str, last: str, waited_s: float) -> None:
        self.what = what
        self.last = last
        self.waited_s = waited_s
        super().__init__(f"{what}: not so after {waited_s:.0f} s; last seen: {last}")


class ApplyFailed(SaltlickError):
    """Some actions of a plan failed; the message names each with its error."""


class ServerFailed(SaltlickError):
    """One or more servers did not answer or failed; each is named."""


class CustodianFailed(SaltlickError):
    """Cloud Custodian did not carry its policies out; the message has its own words."""


class NotReady(SaltlickError):
    """What the job needs is not there, as was seen before anything was touched."""

    exit_code = 7
