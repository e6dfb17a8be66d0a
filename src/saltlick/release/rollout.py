"""The story of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.errors import SaltlickError
from saltlick.fleet.step import When
from saltlick.jobs.interrupts import Interrupted
from saltlick.release.planning import preflight
from saltlick.release.planning.begin import begin_release, refused_or_unchanged
from saltlick.release.planning.plan import plan_of
from saltlick.release.run import RollbackRequired, Run
from saltlick.release.soak import ask_again, soak
from saltlick.release.steps.batch import Direction, take_through
from saltlick.release.steps.between_batches import (
    check_failures,
    keep_out_of_traffic,
    next_batch,
    next_batch_number,
    pause_between,
)
from saltlick.release.steps.build import build_ahead
from saltlick.release.steps.finish import finish
from saltlick.release.steps.hooks import hooks
from saltlick.release.steps.run_once import once
from saltlick.release.undo import undo

if TYPE_CHECKING:
    from saltlick.release.context import ReleaseContext, ReleaseRequest
    from saltlick.release.journal.record import ReleaseRecord
    from saltlick.release.pillar import Recipe
    from saltlick.release.planning.plan import ReleasePlan


def plan(recipe: Recipe, asked: ReleaseRequest, context: ReleaseContext) -> ReleasePlan:
    """What `release` would do, and every problem that stands against it now (`test=True`). Only looks."""
    return plan_of(recipe, asked, preflight.look(recipe, asked, context))


def release(recipe: Recipe, asked: ReleaseRequest, context: ReleaseContext) -> ReleaseRecord:
    """Put one revision onto every server, or take every touched server back to the revision it had.

    The caller has the environment's lock. Returns the record of the release, finished (`result.exit_code` is what a shell is
    told) or, after a second Ctrl-C, unfinished: RUNNING, `reason` says what is left, the lock has to stay as for STUCK.

    Raises: InvalidInput when a force word makes no sense; Interrupted by a second Ctrl-C during pre-flight, when nothing was
    touched yet. Nothing else: failures of servers are in the record.
    """
    began = context.epoch()
    planned = plan(recipe, asked, context)
    if planned.refused or planned.unchanged:
        return refused_or_unchanged(recipe, asked, context, planned, began)
    return carry_through(begin_release(recipe, asked, context, planned, began))


def carry_through(run: Run) -> ReleaseRecord:
    """The runbook, for a release that begins as for one that is taken up again: what is done already is not done again."""
    run.announce()
    try:
        try:
            forward(run)
        except (RollbackRequired, SaltlickError) as failure:
            undo(run, str(failure))
    except Interrupted as interrupt:
        run.stop_at_once(str(interrupt))
    return run.whole()


def forward(run: Run) -> None:
    """Every server onto the new revision, batch by batch.

    Raises: RollbackRequired when everything has to go back.
    """
    run.require_forward()
    hooks(run, "pre_release")
    keep_out_of_traffic(run)
    check_failures(run, build_ahead(run))
    once(run, When.BEFORE)
    while number := next_batch_number(run):
        soak(run, number - 1)
        pause_between(run, after=number - 1)
        ask_again(run)
        servers = next_batch(run, number)
        check_failures(run, take_through(run, servers, Direction(number)), number)
        hooks(run, "post_batch", servers, batch=number)
    soak(run, run.batches_begun)
    once(run, When.AFTER)
    run.require_forward()
    finish(run)
