"""From the steps of a recipe to replies of servers: placeholders filled in, values judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from saltlick.fleet.judge import no_reply
from saltlick.fleet.placeholders import placeholders_now
from saltlick.fleet.ports import Reply
from saltlick.release.journal.record import ReleaseRecord, ServerRecord, StepRecord
from saltlick.release.pillar import Recipe


def placeholders_for(
    recipe: Recipe, head: ReleaseRecord, server: ServerRecord | None, *, back: bool = False
) -> dict[str, str]:
    """What placeholders stand for; on the way `back`, `{sha}` and `{release}` are what the server had before."""
    previous = server.previous if server else ""
    words = placeholders_now(recipe, head.environment, server.name if server else "", previous if back else head.sha)
    words |= {"previous": head.sha if back else previous, "who": head.who, "id": head.id}
    return words if back else {**words, "rev": head.rev}


def ended(step: StepRecord, reply: Reply | None, started: float, now: float) -> StepRecord:
    """A step with how it ended; where the fleet says how long a server took, by that."""
    reply = reply or no_reply()
    took_s = reply.duration_ms / 1000
    ended = min(now, started + took_s) if reply.duration_ms else now
    return replace(step, ended=ended, ok=reply.ok, detail=_detail(reply))


def _detail(reply: Reply) -> str:
    if not reply.ok:
        return ("silent: " if reply.silent and "no answer" not in reply.error else "") + (
            reply.error or "no reason given"
        )
    value = reply.value
    if isinstance(value, Mapping) and "how" in value:
        return ", ".join([str(value["how"]), *(f"{value['sessions']} sessions" for _ in "1" if "sessions" in value)])
    return value if isinstance(value, str) and len(value) <= 200 and "\n" not in value else ""
