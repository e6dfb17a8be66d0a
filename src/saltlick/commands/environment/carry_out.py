"""Carry a plan out, and report it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.environment import provision
from saltlick.kinds import KINDS

if TYPE_CHECKING:
    from saltlick.engine.apply import Report
    from saltlick.engine.plan import Plan
    from saltlick.engine.ports import Cloud
    from saltlick.environment.provision import Estate
    from saltlick.jobs.running import RunningJob


def carry_out(estate: Estate, plan: Plan, cloud: Cloud, job: RunningJob) -> Report:
    """Apply a plan. Its start, every finished resource and its end are reported.

    Raises: NeedsDecision, InvalidInput before anything is touched.
    """
    progress = job.progress
    for environment in plan.environments:
        progress.step(environment, "start", counts=dict(plan.counts))
    report = provision.apply(plan, cloud, KINDS, watch=progress.watch, deadlines=estate.deadlines)
    for environment in plan.environments:
        progress.step(environment, "end", failed=len(report.failed), duration_ms=report.duration_ms)
    if report.failed:
        job.ended("failed", failures(report))
    return report


def failures(report: Report) -> str:
    """Every resource that failed, and why."""
    return "; ".join(f"{outcome.key}: {outcome.error or 'not started'}" for outcome in report.failed)
