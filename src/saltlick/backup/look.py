"""A look at the stores of several jobs, and what it says beside what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saltlick.backup.context import roles, source
from saltlick.backup.freshness import PRIMARY, Reason, judge, settled_past
from saltlick.errors import SaltlickError

if TYPE_CHECKING:
    from saltlick.backup.catalogue import Catalogue
    from saltlick.backup.context import BackupContext, BackupJob
    from saltlick.backup.freshness import FreshnessResult


def catalogues_of(jobs: Sequence[BackupJob], context: BackupContext) -> dict[str, Catalogue | str]:
    """By job; the error of one whose store cannot be seen."""
    catalogues: dict[str, Catalogue | str] = {}
    for job in jobs:
        try:
            catalogues[job.name] = context.catalogue(source(job, context), job.job.store, job.name)
        except SaltlickError as error:
            catalogues[job.name] = str(error)
    return catalogues


def judged_freshness(jobs: Sequence[BackupJob], context: BackupContext) -> tuple[FreshnessResult, ...]:
    """One result per job; a store that cannot be seen gives one, too.

    The history is read on both sides of the look at the stores: a backup may finish, and another be deleted, meanwhile.
    """
    before = [context.history.of(job.environment, job.name) for job in jobs]
    catalogues = catalogues_of(jobs, context)
    after = [context.history.of(job.environment, job.name) for job in jobs]
    now = context.today()
    return tuple(
        judge(
            job.environment,
            job.name,
            job.job,
            catalogues[job.name],
            settled_past(past, later),
            now,
            _contest(job, context),
        )
        for job, past, later in zip(jobs, before, after, strict=True)
    )


def _contest(job: BackupJob, context: BackupContext) -> Reason | None:
    """That more than one server is the primary: until somebody says which one lives on, no run is let through."""
    seen = roles(job, context)
    sentence = seen.contested(job)
    return Reason(sentence, PRIMARY, seen.primaries) if sentence else None
