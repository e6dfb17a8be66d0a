"""Building a revision: in a folder of its own on all servers while they serve (prepared), or out of traffic (in place).

Every step is a detached job with an id that is the same after a resume: what was built is not built again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.fleet.placeholders import fill
from saltlick.release.journal.record import Phase, ServerStatus
from saltlick.release.pillar.model import StrategyKind
from saltlick.release.step_result import Failed, still_well
from saltlick.release.steps import server_calls
from saltlick.release.steps.replies import placeholders_for

if TYPE_CHECKING:
    from saltlick.release.run import Run

PREPARE_S = 900
BUILT_S = 120.0

Servers = tuple[str, ...]


def build_ahead(run: Run) -> Failed:
    """Lay out and build the revision on every server that waits for its turn. Complete folders are left as they are."""
    if run.recipe.strategy.kind is not StrategyKind.PREPARED:
        return {}
    source, sha = run.recipe.source, run.head.sha
    servers = run.servers_with(ServerStatus.WAITING, ServerStatus.TOUCHED)
    calls = dict.fromkeys(servers, server_calls.prepare(source, sha, run.id))
    laid_out = run.job(Phase.BUILD, "prepare", calls, job="prepare", deadline_s=PREPARE_S)
    replies = laid_out.replies.items()
    empty = tuple(server for server, reply in replies if reply.ok and _state(reply.value) != "built")
    unbuilt = build_here(run, empty)
    done = dict.fromkeys(still_well(empty, unbuilt), server_calls.built(source, sha, run.id))
    completed = run.call(Phase.BUILD, "complete", done, deadline_s=BUILT_S)
    return {**laid_out.failed, **unbuilt, **completed.failed}


def build_here(run: Run, servers: Servers, *, batch: int = 0, back: bool = False) -> Failed:
    """Run the steps that build, one after the other, on all servers that came so far."""
    failed: dict[str, str] = {}
    for number, step in enumerate(run.recipe.build, start=1):
        going = still_well(servers, failed)
        words = {server: placeholders_for(run.recipe, run.head, run.servers[server], back=back) for server in going}
        calls = {server: fill(step, words[server]) for server in going}
        job = f"{number}-build"
        failed |= run.job(
            Phase.BUILD, step.label, calls, job=job, deadline_s=step.deadline_s, step=step, batch=batch, undo=back
        ).failed
    return failed


def _state(value: object) -> str:
    return str(value.get("state", "")) if isinstance(value, dict) else ""
