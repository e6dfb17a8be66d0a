"""When all servers are done: the revision is marked good, old ones go, requests are counted, and it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.release.journal.record import Phase, Result, ServerStatus
from saltlick.release.pillar.model import StrategyKind
from saltlick.release.steps import server_calls
from saltlick.release.steps.batch import DIRECT_S
from saltlick.release.steps.hooks import hooks

if TYPE_CHECKING:
    from saltlick.release.run import Run


def finish(run: Run) -> None:
    """Close the release as DONE, or PARTIAL where servers were left out or skipped. What fails here is a warning."""
    source, head = run.recipe.source, run.head
    done = run.servers_with(ServerStatus.DONE)
    notes = dict.fromkeys(
        done, server_calls.note(f"{head.rev} ({head.sha[:12]}) is current, by {head.who}, release {head.id}")
    )
    if run.recipe.strategy.kind is StrategyKind.PREPARED:
        good = dict.fromkeys(done, server_calls.mark(source, head.sha, head.id, good=True))
        run.call(Phase.FINISH, "mark good", good, deadline_s=DIRECT_S)
        old = {server: server_calls.prune(source, run.servers[server].previous) for server in done}
        run.call(Phase.FINISH, "prune", old, deadline_s=DIRECT_S)
    run.call(Phase.FINISH, "forget old jobs", dict.fromkeys(done, server_calls.forget_jobs()), deadline_s=DIRECT_S)
    run.call(Phase.FINISH, "note", notes, deadline_s=DIRECT_S)
    count_requests(run)
    hooks(run, "post_release")
    left = [
        f"{s.name}: {s.detail}"
        for s in run.servers.values()
        if s.standing in {ServerStatus.LEFT_OUT, ServerStatus.SKIPPED}
    ]
    run.finish(Result.PARTIAL if left else Result.DONE, "; ".join(left))


def count_requests(run: Run) -> None:
    """Requests that each server answered meanwhile, where the recipe says which log tells."""
    if run.recipe.traffic is None:
        return
    servers = tuple(name for name in run.servers if name not in run.silent)
    ask = server_calls.requests_seen(run.recipe.traffic.log, run.head.started, run.context.epoch())
    replies = run.call(Phase.FINISH, "count requests", dict.fromkeys(servers, ask), deadline_s=DIRECT_S).replies
    run.context.journal.requests(
        run.id,
        [
            (server, float(second), int(count))
            for server, reply in replies.items()
            if reply.ok and isinstance(reply.value, dict)
            for second, count in reply.value.items()
        ],
    )
