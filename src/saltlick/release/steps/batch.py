"""A batch's walk: drain, stop, activate, start, healthy, back into traffic; the same forward and back.

The servers of a batch go side by side. One that fails stays where it is, out of traffic, and the others go on, unless the
decision is to undo: then all stop where they are. Each leg may be repeated, so a walk that was cut off begins again at drain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saltlick.fleet.placeholders import fill
from saltlick.release.journal.record import Phase, ServerStatus
from saltlick.release.pillar import fill_check
from saltlick.release.pillar.model import StrategyKind
from saltlick.release.steps import calls
from saltlick.release.steps.build import build_here
from saltlick.release.steps.failure_budget import FailureVerdict, decide
from saltlick.release.steps.hooks import host_hooks
from saltlick.release.steps.replies import placeholders_for
from saltlick.release.steps.run_once import once_here

if TYPE_CHECKING:
    from saltlick.fleet.step import Step
    from saltlick.release.run import Run

DIRECT_S = 60.0
CHECKOUT_S = 900.0
GRACE_S = 15.0
"""How much longer than its own deadline a health check is listened to."""

Servers = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Direction:
    """Which batch, and in which direction: forward to the release's revision, or back to each server's own."""

    batch: int
    back: bool = False

    def sha(self, run: Run, server: str) -> str:
        """Where a server goes."""
        return run.servers[server].previous if self.back else run.head.sha


BatchStep = Callable[["Run", Servers, Direction], None]


def walk(run: Run, servers: Servers, way: Direction) -> Servers:
    """Take servers through all legs; returns those that came through. The others are in `run.failed`, with the reason."""
    for leg in IN_PLACE if run.recipe.strategy.kind is StrategyKind.IN_PLACE else PREPARED:
        going = tuple(server for server in servers if server not in run.failed)
        if not going or (not way.back and verdict(run) is FailureVerdict.UNDO):
            break
        leg(run, going, way)
    return tuple(server for server in servers if server not in run.failed)


def verdict(run: Run) -> FailureVerdict:
    """What the decision would be if the batch ended here."""
    run.heed()
    left_out = len(run.standing(ServerStatus.LEFT_OUT))
    budget = run.recipe.strategy.max_failures
    return decide(run.failed, left_out=left_out, max_failures=budget, abort=run.aborted).verdict


def before(run: Run, servers: Servers, way: Direction) -> None:
    if not way.back:
        host_hooks(run, "pre_host", servers, batch=way.batch)


def drain(run: Run, servers: Servers, way: Direction) -> None:
    out = run.on.balancer.drain
    run.step(Phase.DRAIN, "drain", servers, out, batch=way.batch, undo=way.back, entering=ServerStatus.TOUCHED)


def stop(run: Run, servers: Servers, way: Direction) -> None:
    """Stop; what does not stop, or is late, is killed where the recipe says how.

    A stop that hangs is silence to Salt, though the server is there: whoever is dead costs one more short wait.
    """
    _in_turn(run, Phase.STOP, run.recipe.stop, servers, way)
    stubborn = tuple(server for server in servers if server in run.failed)
    if stubborn and run.recipe.kill:
        why = {server: run.failed.pop(server) for server in stubborn}
        _in_turn(run, Phase.STOP, run.recipe.kill, stubborn, way)
        run.failed |= {server: f"{why[server]}; then {said}" for server, said in run.failed.items() if server in why}


def activate(run: Run, servers: Servers, way: Direction) -> None:
    told = {server: calls.activate(run.recipe.source, way.sha(run, server)) for server in servers}
    run.call(Phase.ACTIVATE, "activate", told, deadline_s=DIRECT_S, batch=way.batch, undo=way.back)


def checkout(run: Run, servers: Servers, way: Direction) -> None:
    told = {server: calls.checkout(run.recipe.source, way.sha(run, server)) for server in servers}
    run.job(Phase.ACTIVATE, "checkout", told, job="checkout", deadline_s=CHECKOUT_S, batch=way.batch, undo=way.back)


def build(run: Run, servers: Servers, way: Direction) -> None:
    build_here(run, servers, batch=way.batch, back=way.back)


def once(run: Run, servers: Servers, way: Direction) -> None:
    if not way.back:
        once_here(run, servers)


def start(run: Run, servers: Servers, way: Direction) -> None:
    _in_turn(run, Phase.START, run.recipe.start, servers, way)


def healthy(run: Run, servers: Servers, way: Direction, *, started: bool = True) -> None:
    """Ask one check after the other; the first waits for what was just `started`, the others need not any more."""
    health = run.recipe.health
    patience = health.readiness_delay_s + health.deadline_s + GRACE_S
    for number, check in enumerate(health.checks):
        delayed = started and number == 0
        going = tuple(server for server in servers if server not in run.failed)
        told = {server: fill_check(check, health, _words(run, server, way), delayed=delayed) for server in going}
        name = check.http or check.tcp or check.command or ""
        run.call(Phase.HEALTH, name, told, deadline_s=patience, batch=way.batch, undo=way.back)


def restore(run: Run, servers: Servers, way: Direction) -> None:
    leaving = ServerStatus.UNDONE if way.back else ServerStatus.DONE
    run.step(
        Phase.RESTORE, "restore", servers, run.on.balancer.restore, batch=way.batch, undo=way.back, leaving=leaving
    )


def after(run: Run, servers: Servers, way: Direction) -> None:
    if not way.back:
        host_hooks(run, "post_host", servers, batch=way.batch)


PREPARED: tuple[BatchStep, ...] = (before, drain, stop, activate, start, healthy, restore, after)
IN_PLACE: tuple[BatchStep, ...] = (before, drain, stop, checkout, build, once, start, healthy, restore, after)


def _in_turn(run: Run, phase: Phase, steps: Sequence[Step], servers: Servers, way: Direction) -> None:
    """One step of the recipe after the other, on all servers that came so far."""
    for step in steps:
        going = tuple(server for server in servers if server not in run.failed)
        told = {server: fill(step, _words(run, server, way)) for server in going}
        run.call(phase, step.label, told, deadline_s=step.deadline_s, step=step, batch=way.batch, undo=way.back)


def _words(run: Run, server: str, way: Direction) -> dict[str, str]:
    return placeholders_for(run.recipe, run.head, run.servers[server], back=way.back)
