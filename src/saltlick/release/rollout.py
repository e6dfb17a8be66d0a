"""The story of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saltlick.release.plan import Plan
    from saltlick.release.record import ReleaseRecord
    from saltlick.release.stage import Asked, Stage
    from saltlick.spec.release import Recipe


def plan(recipe: Recipe, asked: Asked, on: Stage) -> Plan:
    """What `release` would do, and every problem that stands against it now (`test=True`). Only looks."""
    raise NotImplementedError


def release(recipe: Recipe, asked: Asked, on: Stage) -> ReleaseRecord:
    """Put one revision onto every server, or take every touched server back to the revision it had.

    The caller has the environment's lock. Returns the record of the release, finished (`result` says how, `exit_code` of it what
    a shell is told) or, after a second Ctrl-C, unfinished: RUNNING, `reason` says what is left, the lock has to stay as for STUCK.

    Raises: InvalidInput when a force word or batch makes no sense. Nothing else: failures of servers are in the record.
    """
    raise NotImplementedError


def rollback(recipe: Recipe, asked: Asked, on: Stage) -> ReleaseRecord:
    """A release of an earlier revision: the last good different one, or `asked.rev` (SHA, tag, or a number of releases back).

    While a release is unfinished (its process was killed) or stuck, a rollback without `rev` takes back that one.

    Raises: InvalidInput when the journal knows no such revision.
    """
    raise NotImplementedError
