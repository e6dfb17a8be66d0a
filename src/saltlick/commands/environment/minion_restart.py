"""Minions that restart after their highstate: a deployment is over when they are back.

The formula `salt_minion` hands the restart to the init system and leaves a file until the new minion has started. A call that is
published meanwhile reaches neither the old minion nor the new one, and its answer would be waited for to the deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.engine.wait import until
from saltlick.errors import WaitTimeout
from saltlick.fleet.ports import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from saltlick.engine.ports import Clock
    from saltlick.fleet.ports import Fleet, Reply

RESTART_STATE = "salt_minion-service-restart"
PENDING = Call("file.file_exists", ("/var/run/saltlick-minion-restart",))
BACK_S = 120.0
ANSWER_S = 15.0
"""For one look. A look that the restart swallows is taken again."""


def restarting(replies: Mapping[str, Reply]) -> tuple[str, ...]:
    """The servers whose highstate asked for a restart of their minion."""
    return tuple(server for server, reply in replies.items() if _asked_for(reply.value))


def wait_until_back(
    servers: Iterable[str], fleet: Fleet, clock: Clock, *, deadline_s: float = BACK_S
) -> dict[str, str]:
    """Wait until these minions have restarted; what is to be said of those that have not, by server.

    One that is still waiting for its own jobs to end answers, and is not in the result: it restarts when they have ended.
    """
    waiting = dict.fromkeys(servers, "")
    if not waiting:
        return {}

    def look() -> dict[str, str]:
        for server, reply in fleet.run(dict.fromkeys(waiting, PENDING), deadline_s=ANSWER_S).items():
            if reply.ok and not reply.value:
                del waiting[server]
            else:
                waiting[server] = "" if reply.ok else reply.error
        return waiting

    try:
        until(look, lambda left: not left, what="minions", describe=", ".join, deadline_s=deadline_s, clock=clock)
    except WaitTimeout:
        return {
            server: f"its minion has not come back from its restart: {error}"
            for server, error in waiting.items()
            if error
        }
    return {}


def _asked_for(value: object) -> bool:
    """Whether a highstate's value, its states by Salt's key of each, holds the restart with a change."""
    states = value.values() if isinstance(value, dict) else ()
    return any(isinstance(s, dict) and s.get("__id__") == RESTART_STATE and bool(s.get("changes")) for s in states)
