"""A release's first row: its id, its servers as they are now, the recipe as it is now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from saltlick.release.context import ReleaseEvent
from saltlick.release.journal.record import Phase, ReleaseRecord, Result, StepRecord
from saltlick.release.planning.plan import rule_of
from saltlick.release.run import Run

if TYPE_CHECKING:
    from saltlick.release.context import ReleaseContext, ReleaseRequest
    from saltlick.release.pillar import Recipe
    from saltlick.release.planning.plan import ReleasePlan


def begin_release(
    recipe: Recipe, asked: ReleaseRequest, context: ReleaseContext, planned: ReleasePlan, began: float
) -> Run:
    """A release begins. One that was never finished, and that the operator overrides, is closed by it."""
    record = _record(asked, context, planned, began)
    before = context.journal.latest(asked.environment)
    if before and before.result is Result.RUNNING:
        context.journal.finish(before.id, Result.STUCK, f"never finished; {record.id} went over it (force=unfinished)")
    context.journal.open(record, recipe=recipe.model_dump_json())
    return Run(recipe, record, rule_of(recipe, [server.name for server in asked.servers]), context)


def refused_or_unchanged(
    recipe: Recipe, asked: ReleaseRequest, context: ReleaseContext, planned: ReleasePlan, began: float
) -> ReleaseRecord:
    """A release that was over before it began; it has a row all the same."""
    result = Result.REFUSED if planned.refused else Result.UNCHANGED
    reason = "\n".join(str(finding) for finding in planned.findings if not finding.forced) if planned.refused else ""
    record = replace(_record(asked, context, planned, began), result=result, reason=reason, ended=context.epoch())
    context.journal.open(record, recipe=recipe.model_dump_json())
    context.notify(ReleaseEvent(release=replace(record, steps=()), batches=len(planned.batches)))
    return record


def _record(asked: ReleaseRequest, context: ReleaseContext, planned: ReleasePlan, began: float) -> ReleaseRecord:
    looked = StepRecord(
        number=1,
        phase=Phase.PREFLIGHT,
        name="preflight",
        started=began,
        ended=context.epoch(),
        ok=not planned.refused,
        detail="; ".join(map(str, planned.findings)),
    )
    return replace(
        planned.as_record(asked),
        id=_id(asked, planned.sha, began, context),
        started=began,
        steps=(looked,),
    )


def _id(asked: ReleaseRequest, sha: str, began: float, context: ReleaseContext) -> str:
    when = datetime.fromtimestamp(began, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    name = f"{asked.environment}-{when}-{sha[:7] or 'unknown'}"
    taken = {record.id for record in context.journal.history(asked.environment, limit=10)}
    return next(candidate for candidate in (name, *(f"{name}-{n}" for n in range(2, 20))) if candidate not in taken)
