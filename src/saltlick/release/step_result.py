"""What came of a step, or of several: the replies, and the servers that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from saltlick.fleet.ports import Reply

Failed = Mapping[str, str]
"""Server → why it failed."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """The replies of one step by server, and the failures among them. A step about the whole release has the address `""`."""

    replies: Mapping[str, Reply]
    failed: Failed


NOTHING_DONE = StepResult({}, {})


def still_well(servers: tuple[str, ...], failed: Failed) -> tuple[str, ...]:
    """The servers that have not failed, in order."""
    return tuple(server for server in servers if server not in failed)
