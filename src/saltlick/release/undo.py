"""Back: every touched server to the revision it had itself, newest first, by the same walk; the floor holds on this way too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.fleet.ports import Reply
from saltlick.release.journal.record import Phase, Result, ServerStatus
from saltlick.release.pillar.model import StrategyKind
from saltlick.release.planning.batches import within_floor
from saltlick.release.planning.server_health import ASK_S
from saltlick.release.run import EVERYONE
from saltlick.release.steps import server_calls
from saltlick.release.steps.batch import DIRECT_S, Direction, restore, take_through
from saltlick.release.steps.hooks import hooks
from saltlick.release.steps.run_once import undo_once
from saltlick.release.steps.traffic import in_traffic, take_out_of_traffic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from saltlick.release.run import Run
    from saltlick.release.steps.run_once import NotUndone

CAPACITY_S = 60.0
RETURN_S = 60.0
"""How long servers that fell silent are waited for at the end, when all others are back."""

Servers = tuple[str, ...]


def undo(run: Run, reason: str) -> None:
    """Take everything back and close the release: ROLLED_BACK, or STUCK with every server named that is in between."""
    if not run.head.undoing:
        run.start_rollback(reason)
        hooks(run, "on_failure", undo=True)
    stuck = _take_back(run)
    if _silent_return(run):
        stuck = _take_back(run)
    tasks = undo_once(run)
    _tell_servers(run)
    hooks(run, "on_rollback", undo=True)
    result = Result.STUCK if stuck or any(task.tried for task in tasks) else Result.ROLLED_BACK
    run.finish(result, _reason(run, stuck, tasks))


def _take_back(run: Run) -> dict[str, str]:
    """Batch after batch, until each server was tried once. Returns those that are stuck, and why."""
    stuck: dict[str, str] = {}
    left = _touched(run)
    while left:
        number = run.servers[left[0]].batch
        same = tuple(name for name in left if run.servers[name].batch == number)
        group = _let_out(run, same)
        if not group:
            keep = run.rule.keep
            why = f"it stays on what it has: {keep} of {run.rule.total} servers have to stay in traffic, more are not left"
            stuck |= dict.fromkeys(left, why)
            run.move(left, ServerStatus.TOUCHED, why)
            break
        stuck |= _walk_back(run, group, number)
        left = tuple(name for name in left if name not in group)
    return stuck


def _silent_return(run: Run) -> bool:
    """Wait a while for servers that are out of traffic and silent. Returns whether one answers again.

    One that was frozen carries out what it was told meanwhile; what it is told now comes after that.
    """
    silent = _lost(run)
    if not silent:
        return False
    ask = dict.fromkeys(silent, server_calls.current(run.recipe.source, run.recipe.strategy.kind))

    def answers() -> bool:
        replies = run.context.fleet.run(ask, deadline_s=ASK_S)
        run.silent -= {name for name, reply in replies.items() if not reply.silent}
        return _lost(run) != silent

    def do(_: Servers) -> dict[str, Reply]:
        there = run.wait(RETURN_S, answers)
        back = ", ".join(name for name in silent if name not in run.silent)
        return {"": Reply(True, f"{back} answers again" if there else "no answer")}

    run.step(Phase.WAIT, f"for {', '.join(silent)}", EVERYONE, do, undo=True, own_word=False)
    return _lost(run) != silent


def _lost(run: Run) -> Servers:
    return tuple(name for name in run.servers_with(ServerStatus.LEFT_OUT) if name in run.silent)


def _touched(run: Run) -> Servers:
    """Whoever is not where it was, newest first; those out of traffic before others, as they cost no capacity.

    Who is left out and silent is asked again at the end.
    """
    lost = _lost(run)
    names = [name for name in run.servers_with(ServerStatus.TOUCHED, ServerStatus.LEFT_OUT) if name not in lost]
    names += [name for name in run.servers_with(ServerStatus.DONE) if run.servers[name].batch]
    out = set(names) - in_traffic(run) if names else set()
    return tuple(sorted(names, key=lambda name: (name not in out, -run.servers[name].batch)))


def _let_out(run: Run, servers: Servers) -> Servers:
    """As many as the floor lets go now; waits a while for capacity that is on its way back."""
    group: Servers = ()

    def some() -> bool:
        nonlocal group
        group = within_floor(servers, in_traffic(run), run.rule.keep)
        return bool(group)

    run.wait(CAPACITY_S, some)
    return group


def _walk_back(run: Run, servers: Servers, batch: int) -> dict[str, str]:
    """Returns those that are stuck.

    One that is out of traffic, and silent or left out before, is not: it is left out, and named.
    """
    was_out = run.left_before | {*run.servers_with(ServerStatus.LEFT_OUT)}
    servers = _put_back(run, servers, batch)
    new = tuple(name for name in servers if not run.servers[name].previous)
    walked = take_through(run, tuple(name for name in servers if name not in new), Direction(batch, back=True))
    failed = {**{name: _nowhere(run, name) for name in new}, **walked}
    inside = take_out_of_traffic(run, tuple(failed), batch=batch, undo=True)
    stuck = {}
    for name, why in failed.items():
        lost = name not in inside and (name in run.silent or name in new or name in was_out)
        if not lost:
            stuck[name] = f"{why} ({'in' if name in inside else 'out of'} traffic)"
        run.move([name], ServerStatus.LEFT_OUT if lost else ServerStatus.TOUCHED, why)
    return stuck


def _put_back(run: Run, servers: Servers, batch: int) -> Servers:
    """Servers that were drained at most go straight back into traffic. Returns those that have to walk."""
    drained = tuple(name for name in servers if name not in run.moved)
    failed = restore(run, drained, Direction(batch, back=True)) if drained else {}
    return tuple(name for name in servers if name not in drained or name in failed)


def _nowhere(run: Run, name: str) -> str:
    return "; ".join(filter(None, (run.servers[name].detail, "it had no revision before to go back to")))


def _tell_servers(run: Run) -> None:
    """Each server that answers learns that the revision is bad; nothing hangs on it."""
    touched = run.servers_with(ServerStatus.UNDONE, ServerStatus.TOUCHED)
    there = tuple(name for name in touched if name not in run.silent)
    source, sha = run.recipe.source, run.head.sha
    notes = [("note", server_calls.note(f"{run.head.rev} ({sha[:12]}) failed and was taken back, release {run.id}"))]
    if run.recipe.strategy.kind is StrategyKind.PREPARED:
        notes.insert(0, ("mark failed", server_calls.mark(source, sha, run.id, good=False)))
    for name, call in notes:
        if there:
            run.call(Phase.FINISH, name, dict.fromkeys(there, call), deadline_s=DIRECT_S, undo=True)


def _reason(run: Run, stuck: Mapping[str, str], tasks: Sequence[NotUndone]) -> str:
    """Why it failed, and all that is not as it was."""
    left_out = [_named(run, name) for name in run.servers_with(ServerStatus.LEFT_OUT)]
    sentences = [
        run.failure,
        "out of traffic, and left there: " + "; ".join(left_out) if left_out else "",
        "stuck: " + "; ".join(f"{name}: {why}" for name, why in stuck.items()) if stuck else "",
        "done once and not undone: " + "; ".join(map(str, tasks)) if tasks else "",
    ]
    return ". ".join(filter(None, sentences))


def _named(run: Run, name: str) -> str:
    """A server, and its own reason where that was not said before."""
    why = run.servers[name].detail
    return name if why in run.failure else f"{name} ({why})"
