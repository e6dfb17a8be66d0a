"""A release goes on after its process died, by the journal's facts alone; and a rollback, which may be just that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from saltlick.errors import InvalidInput
from saltlick.release import rollout
from saltlick.release.journal.left_behind import may_be_resumed
from saltlick.release.journal.record import Result, ServerStatus
from saltlick.release.pillar import Recipe
from saltlick.release.planning.plan import rule_of
from saltlick.release.planning.rollback_target import target
from saltlick.release.planning.server_health import ASK_S, healths
from saltlick.release.run import Run
from saltlick.release.steps import server_calls
from saltlick.release.steps.traffic import in_traffic

if TYPE_CHECKING:
    from saltlick.release.context import ReleaseContext, ReleaseRequest
    from saltlick.release.journal.record import ReleaseRecord

UNFINISHED = {Result.RUNNING, Result.STUCK}


def resume(release: str, context: ReleaseContext, *, who: str, back: bool = False) -> ReleaseRecord:
    """Take up a release: the recipe is the one it began with. The caller has taken over its lock.

    Forward, or back if it was going back or `back` says so. Servers that are done are verified, those it was working on walk
    again from drain; a `once` step that began is asked for its result and never repeated.

    One that went back without some of its servers goes on with these, and brings them back.

    Raises: InvalidInput when there is no such release, or it is over.
    """
    record = context.journal.read(release)
    if record is None or not may_be_resumed(record):
        problem = "there is no such release" if record is None else f"it is over: {record.result.value}"
        raise InvalidInput([f"{release}: {problem}"], what="release.resume")
    recipe = Recipe.model_validate_json(context.journal.recipe(release))
    context.journal.reopen(release, who=who)
    record = replace(record, result=Result.RUNNING, ended=None)
    run = Run(recipe, record, rule_of(recipe, [server.name for server in record.servers]), context)
    if not run.head.undoing:
        if back:
            run.start_rollback(f"taken back by {who}")
        else:
            _verify(run)
    return rollout.carry_through(run)


def rollback(recipe: Recipe, asked: ReleaseRequest, context: ReleaseContext) -> ReleaseRecord:
    """A release of an earlier revision: the last good different one, or `asked.rev` (SHA, tag, or a number of releases back).

    While a release is unfinished (its process was killed) or stuck, a rollback without `rev` takes back that one.

    Raises: InvalidInput when the journal knows no such revision.
    """
    before = context.journal.latest(asked.environment)
    if before and before.result in UNFINISHED and not asked.rev:
        return resume(before.id, context, who=asked.who, back=True)
    return rollout.release(recipe, rollback_to(recipe, asked, context), context)


def rollback_to(recipe: Recipe, asked: ReleaseRequest, context: ReleaseContext) -> ReleaseRequest:
    """The same with the revision that it means, for a plan of it.

    Raises: InvalidInput as `rollback`.
    """
    history = context.journal.history(asked.environment, application=recipe.application)
    return replace(asked, rev=target(history, asked.rev), rollback=True)


def _verify(run: Run) -> None:
    """Done servers that are not on the revision, not well or not in traffic any more walk again."""
    done = run.servers_with(ServerStatus.DONE)
    ask = server_calls.current(run.recipe.source, run.recipe.strategy.kind)
    replies = run.context.fleet.run(dict.fromkeys(done, ask), deadline_s=ASK_S) if done else {}
    there = {name: run.head.sha for name in done if replies[name].ok and replies[name].value == run.head.sha}
    unwell = {
        name for name, reply in healths(run.recipe, run.head.environment, there, run.context).items() if not reply.ok
    }
    kept = in_traffic(run) & (there.keys() - unwell)
    lost = [name for name in done if name not in kept]
    for name in lost:
        batch = run.servers[name].batch or 1
        run.servers[name] = replace(run.servers[name], batch=batch)
    run.move(lost, ServerStatus.TOUCHED, "it was done, and is not any more")
