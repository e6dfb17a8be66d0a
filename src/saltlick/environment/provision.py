"""Plans, applies and destroys environments. The commands and the command line call one function each.

    observe → diff → plan → apply

An `Estate` is one environment, or several that are planned and built together (control, prod and test at once).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from saltlick.engine import apply as engine
from saltlick.engine import plan as planning
from saltlick.engine.observe import Snapshot, observe
from saltlick.engine.plan import Plan
from saltlick.engine.ports import Cloud
from saltlick.engine.resource import Kind, Observed, Resource, Scope
from saltlick.errors import InvalidInput, Problem
from saltlick.jobs.running import FAILED, RunningJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """The environments that are planned and applied together.

    `peers` are environments whose objects are referred to but not touched; `others` all further environments of the account that
    may refer to these (checked before anything is destroyed); `production` those that must not be destroyed;
    `deadlines` seconds by kind.
    """

    environments: tuple[str, ...]
    region: str
    resources: tuple[Resource, ...]
    peers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    production: frozenset[str] = frozenset()
    deadlines: Mapping[str, float] = field(default_factory=dict)

    def scope(self, *more: str) -> Scope:
        """The scope to observe: the estate's environments, their peers, and `more`."""
        names = dict.fromkeys((*self.environments, *self.peers, *more))
        return Scope(tuple(names), {resource.key: resource for resource in self.resources})


def plan(
    estate: Estate, cloud: Cloud, kinds: Mapping[str, Kind], *, replace: Iterable[str] = (), prune: bool = False
) -> Plan:
    """The actions that bring AWS to the estate's declared state. Changes nothing.

    Raises: InvalidInput, ApplyFailed when AWS could not be looked at.
    """
    snapshot = observe(kinds, cloud, estate.scope())
    return planning.build(kinds, estate.environments, estate.resources, snapshot, replace=tuple(replace), prune=prune)


def carry_out(estate: Estate, plan: Plan, cloud: Cloud, kinds: Mapping[str, Kind], job: RunningJob) -> engine.Report:
    """Apply a plan as a job. Its start, every finished resource and its end are reported.

    Raises: NeedsDecision, InvalidInput before anything is touched.
    """
    progress = job.progress
    for environment in plan.environments:
        progress.step(environment, "start", counts=dict(plan.counts))
    report = apply(plan, cloud, kinds, watch=progress.watch, deadlines=estate.deadlines)
    for environment in plan.environments:
        progress.step(environment, "end", failed=len(report.failed), duration_ms=report.duration_ms)
    if report.failed:
        job.ended(FAILED, failures(report))
    return report


def failures(report: engine.Report) -> str:
    """Every resource that failed, and why."""
    return "; ".join(f"{outcome.key}: {outcome.error or 'not started'}" for outcome in report.failed)


def apply(
    plan: Plan,
    cloud: Cloud,
    kinds: Mapping[str, Kind],
    *,
    watch: engine.Watcher = lambda outcome: None,
    deadlines: Mapping[str, float] | None = None,
) -> engine.Report:
    """Apply a plan; see `engine.apply.apply`."""
    return engine.apply(plan, kinds, cloud, watch=watch, deadlines=deadlines)


def show(estate: Estate, cloud: Cloud, kinds: Mapping[str, Kind]) -> tuple[Observed, ...]:
    """Every tagged object of the estate's environments as AWS has it, by address."""
    snapshot = observe(kinds, cloud, estate.scope())
    return tuple(observed for observed in _everything(snapshot) if _ours(estate, kinds, observed))


def plan_destroy(
    estate: Estate, cloud: Cloud, kinds: Mapping[str, Kind], *, confirm: str, keep: Iterable[str] = ()
) -> Plan:
    """The plan that deletes every tagged object of the estate's environments. `confirm` must repeat their names.

    `keep` names buckets that stay with what is in them (`bucket/backups`, `prod:bucket/backups`, or the bucket's own name).

    Raises: InvalidInput when an environment is marked production or holds protected resources, `confirm` is not the
    names, an object of another environment leans on one of ours, or one that is not to be kept holds data.
    """
    _require_destroyable(estate, confirm)
    everything = tuple(_everything(observe(kinds, cloud, estate.scope(*estate.others))))
    doomed = [observed for observed in everything if _ours(estate, kinds, observed)]
    _require_alone(estate, everything, doomed)
    kept = _kept(kinds, doomed, keep)
    doomed = [observed for observed in doomed if observed not in kept]
    _require_no_data(cloud, kinds, doomed)
    return Plan(
        environments=estate.environments,
        actions=tuple(planning.deletion(observed) for observed in doomed),
        undeclared=(),
        missing=(),
        snapshot=Snapshot(),
        kept=kept,
    )


def _everything(snapshot: Snapshot) -> Iterable[Observed]:
    return (*(observed for _, observed in sorted(snapshot.objects.items())), *snapshot.duplicates)


def _ours(estate: Estate, kinds: Mapping[str, Kind], observed: Observed) -> bool:
    return observed.key.environment in estate.environments and not kinds[observed.key.kind].lookup


def _require_destroyable(estate: Estate, confirm: str) -> None:
    problems = [
        Problem(f"{name}.production", "is true: it is never destroyed; take that line out of its pillar first")
        for name in estate.environments
        if name in estate.production
    ]
    problems += [
        Problem(str(resource.key), "is protected: take that out of its pillar first")
        for resource in estate.resources
        if resource.protected
    ]
    names = ",".join(estate.environments)
    if confirm != names:
        problems.append(Problem("confirm", f"destroys everything in {names}: type the name back as confirm={names}"))
    if problems:
        raise InvalidInput(problems, what="destroy")


def _require_alone(estate: Estate, everything: Iterable[Observed], doomed: Iterable[Observed]) -> None:
    ours = {observed.id: observed.key for observed in doomed}
    problems = [
        Problem(str(observed.key), f"leans on {ours[reference]}: destroy {observed.key.environment} first")
        for observed in everything
        if observed.key.environment not in estate.environments
        for reference in sorted(observed.references & ours.keys())
    ]
    if problems:
        raise InvalidInput(problems, what="destroy")


def _kept(kinds: Mapping[str, Kind], doomed: Iterable[Observed], keep: Iterable[str]) -> tuple[Observed, ...]:
    """What was named to stay. Raises: InvalidInput when that is nothing, or something that holds no data."""
    holders = [observed for observed in doomed if type(kinds[observed.key.kind]).holds is not Kind.holds]
    chosen = {
        word: tuple(each for each in holders if word in (str(each.key), each.key.address, each.id))
        for word in dict.fromkeys(keep)
    }
    choices = ", ".join(observed.key.address for observed in holders) or "there is none here"
    problems = [
        Problem(f"keep={word}", f"names no bucket of these environments ({choices})")
        for word, matching in chosen.items()
        if not matching
    ]
    if problems:
        raise InvalidInput(problems, what="destroy")
    return tuple(observed for matching in chosen.values() for observed in matching)


def _require_no_data(cloud: Cloud, kinds: Mapping[str, Kind], doomed: Iterable[Observed]) -> None:
    reasons = ((observed.key, kinds[observed.key.kind].holds(cloud, observed)) for observed in doomed)
    problems = [
        Problem(str(key), f"{reason}. To destroy the rest: keep={key.address}") for key, reason in reasons if reason
    ]
    if problems:
        raise InvalidInput(problems, what="destroy")
