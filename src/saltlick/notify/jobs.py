"""What a job that has ended means for what it was about: red, or green."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.jobs.running import INTERRUPTED
from saltlick.notify.condition import Condition, Feature, Severity

if TYPE_CHECKING:
    from saltlick.jobs.running import RunningJob

GOOD = {"done", "unchanged", "done, servers left out"}
"""Outcomes after which all is well."""
SETTLED = {"rolled back", "refused"}
"""Outcomes of which it is known how things stand, though they are not what was asked for."""
NEXT_COMMANDS = {
    Feature.ENVIRONMENT: ("salt-run environment.history {environment}", "salt-run environment.drift {environment}"),
    Feature.RELEASE: ("salt-run release.status {environment}",),
    Feature.BACKUP: ("salt-run backup.freshness {environment}",),
    Feature.REFRESH: ("salt-run refresh.history {environment}",),
    Feature.DATABASE: ("salt-run database.status {environment}",),
    Feature.OFFHOURS: ("salt-run offhours.status {environment}",),
}
"""What shows how things stand, by whose it is."""


def conditions_of(job: RunningJob, environment: str) -> tuple[Condition, ...]:
    """How the things that a job was about stand in one of its environments after its end.

    A backup that succeeded makes nothing green: whether all is well with it is the verdict of `backup.freshness`. A part of an
    orchestration turns nothing red: the orchestration does, and names it.
    """
    conditions = _ended(job, environment)
    part = any(lease.joined for lease in job.leases)
    return tuple(condition for condition in conditions if not (part and condition.red))


def _ended(job: RunningJob, environment: str) -> tuple[Condition, ...]:
    request, feature = job.request, Feature(job.request.feature)
    whole = green(environment, feature, request.subject or request.action)
    if job.failed_subjects:
        red = [
            failed(environment, feature, name, f"{request.action} failed: {why}")
            for name, why in job.failed_subjects.items()
        ]
        return (whole, *red)
    if job.outcome in GOOD:
        return (whole,)
    known = f"{request.reason} (job of {request.caller.user}): {job.outcome}{': ' if job.reason else ''}{job.reason}"
    unknown = () if job.outcome in SETTLED else (_how_far(job),)
    return (failed(environment, feature, whole.name, known, unknown=unknown),)


def green(environment: str, feature: Feature, name: str) -> Condition:
    """All is well with it."""
    return Condition(environment=environment, feature=feature, name=name, severity=Severity.OK)


def failed(environment: str, feature: Feature, name: str, *known: str, unknown: tuple[str, ...] = ()) -> Condition:
    """It is known to have failed."""
    return Condition(
        environment=environment,
        feature=feature,
        name=name,
        severity=Severity.FAILURE,
        known=known,
        unknown=unknown,
        next_commands=next_commands(environment, feature),
    )


def unseen(environment: str, feature: Feature, name: str, what: str, error: str) -> Condition:
    """Nobody could see how it stands, which is not the same as red. `what` completes `whether …`."""
    return Condition(
        environment=environment,
        feature=feature,
        name=name,
        severity=Severity.WARNING,
        known=(f"it cannot be seen how it stands: {error}",),
        unknown=(f"whether {what}",),
        next_commands=next_commands(environment, feature),
    )


def next_commands(environment: str, feature: Feature) -> tuple[str, ...]:
    """What shows how things stand."""
    return tuple(command.format(environment=environment) for command in NEXT_COMMANDS[feature])


def _how_far(job: RunningJob) -> str:
    return f"how far it had come when it {'was interrupted' if job.outcome == INTERRUPTED else 'failed'}"
