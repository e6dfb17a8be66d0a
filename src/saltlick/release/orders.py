"""What an operator says to a release that is under way, from any terminal.

Orders are rows in its journal, read between steps and while waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from saltlick.errors import InvalidInput
from saltlick.release.record import Standing

if TYPE_CHECKING:
    from saltlick.release.journal import Journal


class Want(str, Enum):
    """What is wanted of a release."""

    PAUSE = "pause"  # after the batch that is on its way
    PROMOTE = "promote"  # go on: ends a pause, a soak or a wait
    ABORT = "abort"  # undo everything
    SKIP = "skip"  # leave a server on what it has


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order and who gave it. `number` is given by the journal."""

    want: Want
    who: str
    server: str = ""
    """For `skip`."""
    reason: str = ""
    number: int = 0
    given: float = 0.0

    def __str__(self) -> str:
        said = f"{self.want.value} {self.server}".strip()
        return f"{said} by {self.who}" + (f": {self.reason}" if self.reason else "")


def give(journal: Journal, environment: str, order: Order) -> str:
    """Write an order for the release that is under way in an environment; returns that release's id.

    Raises: InvalidInput when none is under way, or the server to skip is not waiting any more.
    """
    release = journal.unfinished(environment)
    if release is None:
        raise InvalidInput([f"no release is under way in {environment}"], what=f"release.{order.want.value}")
    if order.want is Want.SKIP:
        waiting = [server.name for server in release.servers if server.standing is Standing.WAITING]
        if order.server not in waiting:
            names = ", ".join(waiting) or "none"
            raise InvalidInput(
                [f"{order.server!r} is not waiting for its turn; these are: {names}"], what="release.skip"
            )
    journal.order(release.id, order)
    return release.id
