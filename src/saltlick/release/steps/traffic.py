"""Who is in traffic, by what the balancer shows; where it cannot tell, by what the journal says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from saltlick.errors import SaltlickError
from saltlick.fleet.ports import Traffic
from saltlick.release.journal.record import Phase, ServerStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from saltlick.fleet.ports import Seen
    from saltlick.release.run import Run

SHOULD_BE = frozenset({ServerStatus.WAITING, ServerStatus.DONE, ServerStatus.UNDONE, ServerStatus.SKIPPED})


def in_traffic(run: Run) -> frozenset[str]:
    """Servers that get requests and can answer them."""
    return _those(run, tuple(run.servers), {Traffic.IN})


def look(run: Run) -> Mapping[str, Seen]:
    """All servers as the balancer shows them now; nothing where there is no balancer. What it shows is noted in the journal."""
    if run.recipe.balancer.kind == "none":
        return {}
    seen = run.context.balancer.look(tuple(run.servers))
    if seen and all(shown.traffic is not Traffic.UNKNOWN for shown in seen.values()):
        run.context.journal.looked(run.id, sum(shown.traffic is Traffic.IN for shown in seen.values()))
    return seen


def observe(run: Run) -> None:
    """Note how many servers the balancer shows in traffic. It decides nothing, so a balancer that cannot be asked is none."""
    dead_are_waited_for = run.silent and run.recipe.balancer.kind in {"service", "command"}
    with contextlib.suppress(SaltlickError):
        if not dead_are_waited_for:
            look(run)


def take_out_of_traffic(
    run: Run, servers: Sequence[str], *, batch: int, undo: bool = False, entering: ServerStatus = ServerStatus.TOUCHED
) -> frozenset[str]:
    """Drain whoever of these may still get requests; returns those that still may after that."""
    may = {Traffic.IN, Traffic.DRAINING}
    if inside := sorted(_those(run, servers, may)):
        out = run.context.balancer.drain
        run.step(Phase.DRAIN, "drain", inside, out, batch=batch, undo=undo, entering=entering, own_word=False)
        return _those(run, inside, may)
    return frozenset()


def _those(run: Run, servers: Sequence[str], wanted: set[Traffic]) -> frozenset[str]:
    if not servers:
        return frozenset()
    seen = look(run)
    shown = {name: seen[name].traffic if name in seen else Traffic.UNKNOWN for name in servers}
    unknown = {name for name, traffic in shown.items() if traffic is Traffic.UNKNOWN}
    return frozenset(
        name for name, traffic in shown.items() if traffic in wanted or (name in unknown and _serves(run, name))
    )


def _serves(run: Run, name: str) -> bool:
    """By the journal: it should be in traffic, or was never drained, or was put back since."""
    if run.servers[name].standing in SHOULD_BE:
        return True
    for step in reversed(run.steps.values()):
        if step.server == name and step.phase in {Phase.DRAIN, Phase.RESTORE}:
            return step.phase is Phase.RESTORE or not step.ok
    return True
