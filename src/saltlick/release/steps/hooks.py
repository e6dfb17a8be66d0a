"""Hooks: steps at certain moments, on the master unless they say `on: server`. `pre_` ones stop what follows, others warn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.fleet.judge import judged, labelled
from saltlick.fleet.placeholders import fill
from saltlick.fleet.step import StepPlace
from saltlick.release.journal.record import Phase
from saltlick.release.run import EVERYONE, RollbackRequired
from saltlick.release.step_result import Failed, still_well
from saltlick.release.steps.replies import placeholders_for

if TYPE_CHECKING:
    from saltlick.fleet.step import PlacedStep
    from saltlick.release.run import Replies, Run

Servers = tuple[str, ...]


def hooks(run: Run, moment: str, servers: Servers = (), *, batch: int = 0, undo: bool = False) -> None:
    """Run the hooks of a moment of the whole release (or of one batch): each once on the master, or on each of the servers.

    Raises: RollbackRequired when one of `pre_release` fails.
    """
    servers = servers or tuple(run.servers)
    for number, step in enumerate(getattr(run.recipe.hooks, moment), start=1):
        name = f"{moment} {number}: {step.label}"
        before = run.last_step(Phase.HOOK, name, batch=batch, undo=undo)
        if before and before.ok:
            continue
        there = tuple(server for server in servers if server not in run.silent)
        addresses = there if step.on is StepPlace.SERVER else EVERYONE
        failed = _run(run, step, name, addresses, servers, batch=batch, undo=undo)
        if failed and moment == "pre_release":
            raise RollbackRequired("; ".join(failed.values()))


def host_hooks(run: Run, moment: str, servers: Servers, *, batch: int) -> Failed:
    """Run the hooks around each server, each on those whose earlier hooks went well. Returns the servers whose hook failed."""
    failed: dict[str, str] = {}
    for number, step in enumerate(getattr(run.recipe.hooks, moment), start=1):
        if going := still_well(servers, failed):
            failed |= _run(run, step, f"{moment} {number}: {step.label}", going, (), batch=batch)
    return failed


def _run(
    run: Run, step: PlacedStep, name: str, addresses: Servers, about: Servers, *, batch: int, undo: bool = False
) -> dict[str, str]:
    """Returns the addresses where it failed. Whether a hook's failure is the server's is for the caller."""
    fleet = run.context.fleet if step.on is StepPlace.SERVER else run.context.master
    calls = {address: fill(step, _words(run, address, about or (address,))) for address in addresses}

    def do(_: Servers) -> Replies:
        return {at: judged(reply, step) for at, reply in fleet.run(calls, deadline_s=step.deadline_s).items()}

    replies = run.step(Phase.HOOK, name, addresses, do, batch=batch, undo=undo).replies
    failed = {address: labelled(name, reply.error) for address, reply in replies.items() if not reply.ok}
    for address, why in failed.items():
        run.remark(f"hook failed: {address} {why}".replace("  ", " "))
    return failed


def _words(run: Run, address: str, about: Servers) -> dict[str, str]:
    server = run.servers.get(address)
    words = placeholders_for(run.recipe, run.head, server)
    previous = ",".join(
        dict.fromkeys(filter(None, (run.servers[name].previous for name in about if name in run.servers)))
    )
    return {
        **words,
        "previous": words["previous"] or previous,
        "servers": ",".join(about),
        "seconds": str(round(run.context.epoch() - run.head.started)),
        "reason": run.head.reason,
    }
