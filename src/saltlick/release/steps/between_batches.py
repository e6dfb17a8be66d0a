"""The course of a release: which batch is next, what becomes of servers that failed, how long to linger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.fleet.ports import Reply
from saltlick.release.context import ReleaseServer
from saltlick.release.journal.record import Phase, ServerStatus
from saltlick.release.pillar.model import Pause
from saltlick.release.planning.batches import following, ordered
from saltlick.release.run import EVERYONE, RollbackRequired
from saltlick.release.step_result import Failed
from saltlick.release.steps.failure_budget import FailureVerdict, judge
from saltlick.release.steps.traffic import in_traffic, take_out_of_traffic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.release.run import Run

CAPACITY_S = 60.0

Servers = tuple[str, ...]


def next_batch_number(run: Run) -> int:
    """The number of the next batch, 0 when all had their turn. One that a killed release was working on comes again."""
    if touched := run.servers_with(ServerStatus.TOUCHED):
        return min(run.servers[name].batch for name in touched)
    return run.batches_begun + 1 if run.servers_with(ServerStatus.WAITING) else 0


def next_batch(run: Run, number: int) -> Servers:
    """The servers of that batch, by who is in traffic now. None when the last ones were skipped meanwhile.

    Raises: RollbackRequired when the floor lets nobody out, or the release was aborted.
    """
    run.read_controls()
    touched = run.servers_with(ServerStatus.TOUCHED)
    waiting = ordered(
        [ReleaseServer(name, run.servers[name].zone) for name in touched or run.servers_with(ServerStatus.WAITING)],
        run.rule,
    )
    batch: tuple[ReleaseServer, ...] = ()

    def let_out() -> bool:
        nonlocal batch
        inside = in_traffic(run)
        first = sorted(waiting, key=lambda server: server.name in inside) if touched else waiting  # out: costs nothing
        batch = following(first, number, inside, run.rule)
        return bool(batch)

    if run.aborted or (waiting and not run.wait(CAPACITY_S, let_out)):
        keep, total = run.rule.keep, run.rule.total
        raise RollbackRequired(
            run.aborted or f"{keep} of {total} servers have to stay in traffic, and no more are left"
        )
    return tuple(server.name for server in batch)


def check_failures(run: Run, failed: Failed, batch: int = 0) -> None:
    """Go on without the servers that failed, or not at all.

    Raises: RollbackRequired when the failure budget is spent, or the release was aborted.
    """
    decision = judge(run, failed)
    if decision.verdict is FailureVerdict.UNDO:
        run.explain(failed)
        raise RollbackRequired(decision.reason)
    if decision.verdict is FailureVerdict.LEAVE_OUT:
        leave_out(run, failed, batch)


def leave_out(run: Run, failed: Failed, batch: int) -> None:
    """Go on without the servers that failed: out of traffic, and named.

    Raises: RollbackRequired when one cannot be put out, or too few would stay.
    """
    if len(in_traffic(run) - set(failed)) < run.rule.keep:
        raise RollbackRequired(
            f"{_sentence(failed)}; without it fewer than {run.rule.keep} servers would be in traffic"
        )
    if inside := take_out_of_traffic(run, tuple(failed), batch=batch):
        raise RollbackRequired(f"{_sentence(failed)}; {', '.join(sorted(inside))} could not be taken out of traffic")
    run.explain(failed, ServerStatus.LEFT_OUT)
    run.remark(f"left out: {_sentence(failed)}")


def keep_out_of_traffic(run: Run) -> None:
    """Servers that were left out from the start (silent, and the operator goes on) get no traffic.

    Raises: RollbackRequired when one cannot be taken out.
    """
    if inside := take_out_of_traffic(
        run, run.servers_with(ServerStatus.LEFT_OUT), batch=0, entering=ServerStatus.LEFT_OUT
    ):
        why = "silent, and could not be taken out of traffic"
        run.move(inside, ServerStatus.WAITING, why)  # as they were before: there is nothing to take back
        raise RollbackRequired(f"{', '.join(sorted(inside))}: {why}")


def pause_between(run: Run, *, after: int) -> None:
    """Between two batches: wait for `promote`, wait. What was waited for before a resume is not again.

    Raises: RollbackRequired when an abort comes, or nobody promotes.
    """
    if not after:
        return
    strategy = run.recipe.strategy
    paused = strategy.pause is Pause.EVERY or (strategy.pause is Pause.CANARY and after == 1)
    run.read_controls()
    if paused or run.pause:
        _wait(run, "until promoted", strategy.pause_limit_s, after)
        run.close_wait()
    _wait(run, "between batches", strategy.wait_s, after)


def _wait(run: Run, name: str, seconds: float, batch: int) -> bool:
    """Wait so long, or until promoted. Returns False where there is nothing to wait for.

    Raises: RollbackRequired when an abort comes, or a pause is not ended in time.
    """
    before = run.last_step(Phase.WAIT, name, batch=batch)
    if not seconds or (before and before.ok):
        return False

    def do(_: Servers) -> dict[str, Reply]:
        promoted = run.wait(seconds, lambda: run.promoted)
        if run.aborted or (name == "until promoted" and not promoted):
            return {"": Reply(False, error=run.aborted or f"nobody promoted it within {seconds:g} s")}
        return {"": Reply(True, "promoted" if promoted else "")}

    reply = run.step(Phase.WAIT, name, EVERYONE, do, batch=batch).replies[""]
    if not reply.ok:
        raise RollbackRequired(reply.error)
    if run.promoted:
        run.close_wait()
    return True


def _sentence(failed: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in failed.items())
