"""What an operator requests of a release that is under way: pause, promote, abort, skip."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ControlAction(str, Enum):
    """What is wanted of a release."""

    PAUSE = "pause"  # after the batch that is on its way
    PROMOTE = "promote"  # go on: ends a pause, a soak or a wait
    ABORT = "abort"  # undo everything
    SKIP = "skip"  # leave a server on what it has


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """One order and who gave it. `number` is given by the journal."""

    want: ControlAction
    who: str
    server: str = ""
    """For `skip`."""
    reason: str = ""
    number: int = 0
    given: float = 0.0

    def __str__(self) -> str:
        request = f"{self.want.value} {self.server}".strip()
        return f"{request} by {self.who}" + (f": {self.reason}" if self.reason else "")
