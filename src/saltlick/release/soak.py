"""The soak: servers that are back in traffic are watched before the next ones drain, and the last ones before it is over.

A revision that passes its health checks and dies seconds later, or answers visitors with errors, is found here. Asked are the
balancer, at each look, the servers themselves, and their log of requests; an answer of a single look decides. All servers that
are done are watched, not only those of the last batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.fleet.ports import Reply, Traffic
from saltlick.release.error_rate import failing_visitors
from saltlick.release.journal.record import Phase, ServerStatus
from saltlick.release.planning.server_health import healths
from saltlick.release.run import EVERYONE, RollbackRequired
from saltlick.release.steps.between_batches import check_failures
from saltlick.release.steps.traffic import look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.release.run import Run
    from saltlick.release.step_result import Failed

STEP = "soak"
EVERY = 3
"""The servers themselves are asked at every third look at the balancer."""
JUST_NOW_S = 2.0
NOT_SERVING = frozenset({Traffic.UNHEALTHY, Traffic.OUT, Traffic.DRAINING})


def soak(run: Run, batch: int) -> None:
    """Watch all servers that are done after a batch, once per batch, also where the release was killed meanwhile.

    Raises: RollbackRequired when a server falls ill beyond the failure budget, or an abort comes.
    """
    before = run.last_step(Phase.WAIT, STEP, batch=batch)
    seconds = length_s(run, batch)
    if not seconds or (before and before.ok) or not run.servers_with(ServerStatus.DONE):
        return
    failed: dict[str, str] = {}

    def do(_: tuple[str, ...]) -> Mapping[str, Reply]:
        looks = _watch(run, seconds, failed)
        if run.aborted or failed:
            why = run.aborted or "; ".join(f"{server}: {reason}" for server, reason in failed.items())
            return {"": Reply(False, error=why)}
        return {"": Reply(True, f"{'promoted' if run.promoted else 'well'} in {looks} looks")}

    reply = run.step(Phase.WAIT, STEP, EVERYONE, do, batch=batch).replies[""]
    check_failures(run, failed, batch)
    if not reply.ok and not failed:
        raise RollbackRequired(reply.error)
    if run.promoted:
        run.close_wait()


def length_s(run: Run, batch: int) -> int:
    """How long the servers are watched after that batch, in seconds; 0 where they are not."""
    strategy = run.recipe.strategy
    if not batch:
        return 0
    return max(strategy.soak_s, strategy.canary_soak_s) if batch == 1 else strategy.soak_s


def ask_again(run: Run) -> None:
    """Ask the servers that are done once more before others are taken out of traffic, unless that was just done.

    Raises: RollbackRequired when one is ill beyond the failure budget.
    """
    watched = run.last_step(Phase.WAIT, STEP, batch=run.batches_begun)
    just_now = watched is not None and run.context.epoch() - (watched.ended or 0) < JUST_NOW_S
    if run.recipe.strategy.soak_s and not just_now:
        check_failures(run, ill(run, ask_servers=True), run.batches_begun)


def ill(run: Run, *, ask_servers: bool, since: float | None = None) -> Failed:
    """The servers that are done and not well, and why: by the balancer, their own answers, and their visitors' `since` then."""
    done = run.servers_with(ServerStatus.DONE)
    seen = look(run)
    failed = {
        name: f"back in traffic, and then the balancer showed it {seen[name].traffic.value}"
        + (f" ({seen[name].detail})" if seen[name].detail else "")
        for name in done
        if name in seen and seen[name].traffic in NOT_SERVING
    }
    if ask_servers:
        well = {name: run.head.sha for name in done if name not in failed}
        replies = healths(run.recipe, run.head.environment, well, run.context, once=True) if well else {}
        failed |= {
            name: f"back in traffic, and then ill: {reply.error}" for name, reply in replies.items() if not reply.ok
        }
        if since is not None:
            failed |= failing_visitors(run, [name for name in done if name not in failed], since)
    return failed


def _watch(run: Run, seconds: float, failed: dict[str, str]) -> int:
    """Look until the time is over, one is ill (it is then in `failed`), or an order ends it. Returns how often it looked."""
    looks, ends, since = 0, run.context.clock.now() + seconds, run.context.epoch()
    while True:
        left = ends - run.context.clock.now()
        failed.update(ill(run, ask_servers=left <= 0 or looks % EVERY == 0, since=since if looks else None))
        looks += 1
        run.read_controls()
        if failed or left <= 0 or run.aborted or run.promoted:
            return looks
        run.context.clock.sleep(min(1.0, left))
