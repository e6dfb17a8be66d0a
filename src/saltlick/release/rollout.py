"""The story of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.errors import SaltlickError
from saltlick.release import preflight
from saltlick.release.build import build_ahead
from saltlick.release.course import keep_out, linger, next_batch, settle, upcoming
from saltlick.release.finish import finish
from saltlick.release.hooks import hooks
from saltlick.release.once import once
from saltlick.release.plan import plan_of
from saltlick.release.run import GoBack, Run
from saltlick.release.stage import Interrupted
from saltlick.release.start import opened, refused_or_unchanged
from saltlick.release.undo import undo
from saltlick.release.walk import Way, walk
from saltlick.spec.release.steps import When

if TYPE_CHECKING:
    from saltlick.release.plan import Plan
    from saltlick.release.record import ReleaseRecord
    from saltlick.release.stage import Asked, Stage
    from saltlick.spec.release import Recipe


def plan(recipe: Recipe, asked: Asked, on: Stage) -> Plan:
    """What `release` would do, and every problem that stands against it now (`test=True`). Only looks."""
    return plan_of(recipe, asked, preflight.look(recipe, asked, on))


def release(recipe: Recipe, asked: Asked, on: Stage) -> ReleaseRecord:
    """Put one revision onto every server, or take every touched server back to the revision it had.

    The caller has the environment's lock. Returns the record of the release, finished (`result.exit_code` is what a shell is
    told) or, after a second Ctrl-C, unfinished: RUNNING, `reason` says what is left, the lock has to stay as for STUCK.

    Raises: InvalidInput when a force word makes no sense; Interrupted by a second Ctrl-C during pre-flight, when nothing was
    touched yet. Nothing else: failures of servers are in the record.
    """
    began = on.epoch()
    planned = plan(recipe, asked, on)
    if planned.refused or planned.unchanged:
        return refused_or_unchanged(recipe, asked, on, planned, began)
    return story(opened(recipe, asked, on, planned, began))


def story(run: Run) -> ReleaseRecord:
    """The runbook, for a release that begins as for one that is taken up again: what is done already is not done again."""
    run.begins()
    try:
        try:
            forward(run)
        except (GoBack, SaltlickError) as failure:
            undo(run, str(failure))
    except Interrupted as interrupt:
        run.stops(str(interrupt))
    return run.whole()


def forward(run: Run) -> None:
    """Every server onto the new revision, batch by batch.

    Raises: GoBack when everything has to go back.
    """
    run.unless_going_back()
    hooks(run, "pre_release")
    keep_out(run)
    build_ahead(run)
    settle(run)
    once(run, When.BEFORE)
    while number := upcoming(run):
        linger(run, after=number - 1)
        servers = next_batch(run, number)
        walk(run, servers, Way(number))
        settle(run, number)
        hooks(run, "post_batch", servers, batch=number)
    once(run, When.AFTER)
    settle(run)
    finish(run)
