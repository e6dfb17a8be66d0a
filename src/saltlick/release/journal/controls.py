"""What an operator says to a release that is under way, from any terminal.

Orders are rows in its journal, read between steps and while waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.errors import InvalidInput
from saltlick.release.journal.control_request import ControlAction, ControlRequest
from saltlick.release.journal.record import Phase, ServerStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from saltlick.release.journal.record import ReleaseRecord, StepRecord
    from saltlick.release.journal.store import Journal


def record_control(journal: Journal, environment: str, order: ControlRequest) -> str:
    """Write an order for the release that is under way in an environment; returns that release's id.

    Raises: InvalidInput when none is under way, there is nothing to promote, or the server to skip is not waiting any more.
    """
    release = journal.unfinished(environment)
    if release is None:
        raise InvalidInput([f"no release is under way in {environment}"], what=f"release.{order.want.value}")
    if order.want is ControlAction.PROMOTE and not _heard(journal, release):
        problem = (
            f"{release.id} does not wait now, so there is nothing to promote (salt-run release.watch {environment})"
        )
        raise InvalidInput([problem], what="release.promote")
    if order.want is ControlAction.SKIP:
        waiting = [server.name for server in release.servers if server.standing is ServerStatus.WAITING]
        if order.server not in waiting:
            names = ", ".join(waiting) or "none"
            raise InvalidInput(
                [f"{order.server!r} is not waiting for its turn; these are: {names}"], what="release.skip"
            )
    journal.order(release.id, order)
    return release.id


def _heard(journal: Journal, release: ReleaseRecord) -> bool:
    """Whether a promote would mean something: it waits, or somebody asked it to."""
    asked = any(order.want is ControlAction.PAUSE for order in journal.orders(release.id))
    return not release.undoing and (asked or is_waiting(release.steps))


def is_waiting(steps: Iterable[StepRecord]) -> bool:
    """Whether a release with these steps, in order, stands in a soak, a pause or a wait, or stood there when it was killed."""
    latest = [step for step in steps if step.phase is Phase.WAIT][-1:]
    return bool(latest) and latest[0].ended is None
