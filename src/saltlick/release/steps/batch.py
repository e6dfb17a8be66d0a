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
from saltlick.release.step_result import Failed, still_well
from saltlick.release.steps import server_calls
from saltlick.release.steps.build import build_here
from saltlick.release.steps.failure_budget import FailureVerdict, judge
from saltlick.release.steps.hooks import host_hooks
from saltlick.release.steps.replies import placeholders_for
from saltlick.release.steps.run_once import once_here
from saltlick.release.steps.traffic import observe

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


BatchStep = Callable[["Run", Servers, Direction], Failed]


def take_through(run: Run, servers: Servers, direction: Direction) -> Failed:
    """Take servers through all steps of a batch. Returns those that did not come through, and why."""
    failed: dict[str, str] = {}
    for leg in IN_PLACE if run.recipe.strategy.kind is StrategyKind.IN_PLACE else PREPARED:
        going = still_well(servers, failed)
        if not going or (not direction.back and judge(run, failed).verdict is FailureVerdict.UNDO):
            break
        failed |= leg(run, going, direction)
    return failed


def before(run: Run, servers: Servers, direction: Direction) -> Failed:
    return {} if direction.back else host_hooks(run, "pre_host", servers, batch=direction.batch)


def drain(run: Run, servers: Servers, direction: Direction) -> Failed:
    """Out of traffic; the balancer is looked at while they are, for what is told of the release afterwards."""
    out = run.context.balancer.drain
    entering = ServerStatus.TOUCHED
    drained = run.step(
        Phase.DRAIN, "drain", servers, out, batch=direction.batch, undo=direction.back, entering=entering
    )
    observe(run)
    return drained.failed


def stop(run: Run, servers: Servers, direction: Direction) -> Failed:
    """Stop; what does not stop, or is late, is killed where the recipe says how.

    A stop that hangs is silence to Salt, though the server is there: whoever is dead costs one more short wait.
    """
    stubborn = _in_turn(run, Phase.STOP, run.recipe.stop, servers, direction)
    if not stubborn or not run.recipe.kill:
        return stubborn
    unkilled = _in_turn(run, Phase.STOP, run.recipe.kill, tuple(stubborn), direction)
    return {server: f"{stubborn[server]}; then {why}" for server, why in unkilled.items()}


def activate(run: Run, servers: Servers, direction: Direction) -> Failed:
    calls = {server: server_calls.activate(run.recipe.source, direction.sha(run, server)) for server in servers}
    return run.call(
        Phase.ACTIVATE, "activate", calls, deadline_s=DIRECT_S, batch=direction.batch, undo=direction.back
    ).failed


def checkout(run: Run, servers: Servers, direction: Direction) -> Failed:
    calls = {server: server_calls.checkout(run.recipe.source, direction.sha(run, server)) for server in servers}
    return run.job(
        Phase.ACTIVATE,
        "checkout",
        calls,
        job="checkout",
        deadline_s=CHECKOUT_S,
        batch=direction.batch,
        undo=direction.back,
    ).failed


def build(run: Run, servers: Servers, direction: Direction) -> Failed:
    return build_here(run, servers, batch=direction.batch, back=direction.back)


def once(run: Run, servers: Servers, direction: Direction) -> Failed:
    if not direction.back:
        once_here(run, servers)
    return {}


def start(run: Run, servers: Servers, direction: Direction) -> Failed:
    return _in_turn(run, Phase.START, run.recipe.start, servers, direction)


def healthy(run: Run, servers: Servers, direction: Direction) -> Failed:
    """Ask one check after the other; the first waits for what was just started, the others need not any more."""
    health = run.recipe.health
    patience = health.readiness_delay_s + health.deadline_s + GRACE_S
    failed: dict[str, str] = {}
    for number, check in enumerate(health.checks):
        delayed = number == 0
        going = still_well(servers, failed)
        calls = {server: fill_check(check, health, _words(run, server, direction), delayed=delayed) for server in going}
        name = check.http or check.tcp or check.command or ""
        asked = run.call(Phase.HEALTH, name, calls, deadline_s=patience, batch=direction.batch, undo=direction.back)
        failed |= asked.failed
    return failed


def restore(run: Run, servers: Servers, direction: Direction) -> Failed:
    observe(run)
    leaving = ServerStatus.UNDONE if direction.back else ServerStatus.DONE
    put_back = run.context.balancer.restore
    return run.step(
        Phase.RESTORE, "restore", servers, put_back, batch=direction.batch, undo=direction.back, leaving=leaving
    ).failed


def after(run: Run, servers: Servers, direction: Direction) -> Failed:
    """A failing `post_host` hook is a warning: the server is back in traffic."""
    if not direction.back:
        host_hooks(run, "post_host", servers, batch=direction.batch)
    return {}


PREPARED: tuple[BatchStep, ...] = (before, drain, stop, activate, start, healthy, restore, after)
IN_PLACE: tuple[BatchStep, ...] = (before, drain, stop, checkout, build, once, start, healthy, restore, after)


def _in_turn(run: Run, phase: Phase, steps: Sequence[Step], servers: Servers, direction: Direction) -> Failed:
    """One step of the recipe after the other, on all servers that came so far."""
    failed: dict[str, str] = {}
    for step in steps:
        calls = {server: fill(step, _words(run, server, direction)) for server in still_well(servers, failed)}
        failed |= run.call(
            phase, step.label, calls, deadline_s=step.deadline_s, step=step, batch=direction.batch, undo=direction.back
        ).failed
    return failed


def _words(run: Run, server: str, direction: Direction) -> dict[str, str]:
    return placeholders_for(run.recipe, run.head, run.servers[server], back=direction.back)
