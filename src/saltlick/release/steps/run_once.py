"""Tasks for exactly one server of the whole release. Never repeated: a resume asks for the result by the job's id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from saltlick.fleet.judge import labelled
from saltlick.fleet.placeholders import fill
from saltlick.fleet.step import When
from saltlick.release.journal.record import Phase, ServerStatus
from saltlick.release.pillar.model import StrategyKind
from saltlick.release.run import RollbackRequired
from saltlick.release.steps.replies import placeholders_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saltlick.fleet.ports import Reply
    from saltlick.fleet.step import BuildStep, OnceStep
    from saltlick.release.run import Run

Servers = tuple[str, ...]


def once(run: Run, when: When) -> None:
    """Do the tasks of that moment. In place, those of `before` have their turn in the first server's walk.

    Raises: RollbackRequired when one fails.
    """
    if run.recipe.strategy.kind is StrategyKind.IN_PLACE and when is When.BEFORE:
        return
    _run_each(run, when, run.servers_with(ServerStatus.WAITING, ServerStatus.TOUCHED, ServerStatus.DONE))


def once_here(run: Run, servers: Servers) -> None:
    """In place: the tasks of `before`, on the first of servers that are out of traffic, unless they were done before.

    Raises: RollbackRequired when one fails.
    """
    _run_each(run, When.BEFORE, servers)


@dataclass(frozen=True, slots=True)
class NotUndone:
    """A task that began and was not taken back. `tried`: it has an `undo`, and that failed."""

    task: str
    why: str
    tried: bool

    def __str__(self) -> str:
        return f"{self.task} ({self.why})"


def undo_once(run: Run) -> tuple[NotUndone, ...]:
    """Take back what began, last first, whether it ended well or not. Returns what could not be."""
    left = []
    for number, step in reversed(tuple(_numbered(run))):
        name = _name(number, step)
        undone = run.last_step(Phase.ONCE, name, undo=True)
        if (began := run.last_step(Phase.ONCE, name)) is None or (undone and undone.ok):
            continue
        if step.undo is None:
            left.append(NotUndone(step.label, "it has no `undo` in the recipe", tried=False))
            continue
        server = undone.server if undone else _answering(run, began.server)
        reply = _do(run, number, step.undo, name, server, back=True)
        if not reply.ok:
            left.append(NotUndone(step.label, reply.error, tried=True))
    return tuple(left)


def _run_each(run: Run, when: When, servers: Servers) -> None:
    for number, step in _numbered(run):
        began = run.last_step(Phase.ONCE, _name(number, step))
        if step.when is not when or (began and began.ok):
            continue
        server = began.server if began else _chosen(step, servers)
        if server is None:
            continue
        reply = _do(run, number, step, _name(number, step), server)
        if not reply.ok:
            raise RollbackRequired(f"{server}: once: {labelled(step.label, reply.error)}")


def _do(run: Run, number: int, step: BuildStep, name: str, server: str, *, back: bool = False) -> Reply:
    calls = {server: fill(step, placeholders_for(run.recipe, run.head, run.servers[server]))}
    job = f"{number}-once"
    done = run.job(Phase.ONCE, name, calls, job=job, deadline_s=step.deadline_s, step=step, undo=back)
    return done.replies[server]


def _answering(run: Run, server: str) -> str:
    """The server that did the task; another one of the group where that one is dead."""
    if server not in run.silent:
        return server
    return next(
        (name for name in run.servers_with(ServerStatus.UNDONE, ServerStatus.WAITING) if name not in run.silent), server
    )


def _numbered(run: Run) -> Iterator[tuple[int, OnceStep]]:
    return iter(enumerate(run.recipe.once, start=1))


def _name(number: int, step: OnceStep) -> str:
    return f"{number} {step.label}"


def _chosen(step: OnceStep, servers: Servers) -> str | None:
    return step.primary if step.primary in servers else next(iter(servers), None)
