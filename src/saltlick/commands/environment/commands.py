"""The operator's commands on environments: one typed request in, one call of the core, a `CommandResult` out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.commands.arguments import Flag, Remark, Request, WaitSeconds, Words
from saltlick.commands.environment.admission import forget_stale_keys, release_instances
from saltlick.commands.environment.drift import announced_drift
from saltlick.commands.environment.estate import environments_of, load
from saltlick.commands.job import running_job
from saltlick.commands.result import CommandResult, plain
from saltlick.engine import render
from saltlick.environment import provision
from saltlick.environment.pillar import declared_servers, server_tiers
from saltlick.errors import ApplyFailed, InvalidInput
from saltlick.jobs.request import JobRequest
from saltlick.kinds import KINDS
from saltlick.salt_io.pillar import environment_names

if TYPE_CHECKING:
    from saltlick.engine.apply import Report
    from saltlick.engine.plan import Plan
    from saltlick.environment.provision import Estate


class EnvironmentPlanRequest(Request):
    """`replace` names what may be replaced; `prune` deletes what is not declared any more."""

    replace: Words = ()
    prune: Flag = False


class ApplyRequest(EnvironmentPlanRequest):
    """A plan that is carried out."""

    lock_wait: WaitSeconds = 0


class DestroyRequest(Request):
    """`confirm` is the names, typed back; `keep` names buckets that stay."""

    confirm: Remark = ""
    keep: Words = ()
    lock_wait: WaitSeconds = 0


def plan(opts: Mapping[str, Any], request: EnvironmentPlanRequest) -> CommandResult:
    """What apply would do."""
    estate = load(opts, request.name, builds=True)
    plan = provision.plan(estate, aws.connect(estate.region), KINDS, replace=request.replace, prune=request.prune)
    result = {**render.data(plan), "changes_anything": plan.changes_anything}
    return CommandResult(result, lambda colour: render.text(plan, colour=colour))


def apply(opts: Mapping[str, Any], request: ApplyRequest) -> CommandResult:
    """Build what the pillar says, under the lock."""
    names = environment_names(opts, request.name)
    with running_job(opts, job_request(request, names, "apply", request.lock_wait)) as job:
        estate = load(opts, names, builds=True, create_master_key=True)
        cloud = aws.connect(estate.region, notify=job.progress.line)
        plan = provision.plan(estate, cloud, KINDS, replace=request.replace, prune=request.prune)
        release_instances(opts, plan)
        return _applied(plan, provision.carry_out(estate, plan, cloud, KINDS, job))


def destroy(opts: Mapping[str, Any], request: DestroyRequest) -> CommandResult:
    """Delete everything of the environments, under the lock, in order. Unconfirmed, show what that would be."""
    names = environment_names(opts, request.name)
    typed_back = ",".join(names)
    if request.confirm != typed_back:
        return _unconfirmed(load(opts, names), typed_back, request.keep)
    with running_job(opts, job_request(request, names, "destroy", request.lock_wait)) as job:
        estate = load(opts, names)
        cloud = aws.connect(estate.region, notify=job.progress.line)
        plan = provision.plan_destroy(estate, cloud, KINDS, confirm=typed_back, keep=request.keep)
        release_instances(opts, plan)
        applied = _applied(plan, provision.carry_out(estate, plan, cloud, KINDS, job))
        forgotten = forget_stale_keys(opts, plan, cloud)
        return dataclasses.replace(applied, result={**applied.result, "keys_forgotten": forgotten})


def job_request(
    request: Request, names: tuple[str, ...], action: str, lock_wait_s: float, *, subject: str = ""
) -> JobRequest:
    """The lock that a change of environments needs. A plan starts from any state, so a stale lock is taken over."""
    return JobRequest(
        environments=names,
        feature="environment",
        action=action,
        subject=subject,
        reason=f"environment.{action} {','.join(names)}",
        caller=request.caller,
        lock_wait_s=lock_wait_s,
        over_stale=True,
    )


def _unconfirmed(estate: Estate, typed_back: str, keep: tuple[str, ...]) -> CommandResult:
    plan = provision.plan_destroy(estate, aws.connect(estate.region), KINDS, confirm=typed_back, keep=keep)
    count = len(plan.actions)
    error = f"nothing was touched: to delete these {count} resources, type the name back as confirm={typed_back}"
    result = {**render.data(plan), "error": error}
    return CommandResult(result, lambda colour: f"{render.text(plan, colour=colour)}\n{error}", InvalidInput.exit_code)


def drift(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """What differs between AWS and the pillar, whichever of them was changed."""
    plan = announced_drift(opts, request.name, request.caller)
    result = render.data(plan)
    result["actions"] = [
        action for action in result["actions"] if action["action"] != "keep" or action.keys() & {"drift", "undecided"}
    ]
    return CommandResult({**result, "drifted": plan.drifted}, lambda colour: _drift_text(plan, colour))


def show(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """Everything of ours in the environments, as AWS has it."""
    estate = load(opts, request.name)
    observed = provision.show(estate, aws.connect(estate.region), KINDS)
    resources = {
        str(resource.key): {
            "name": (resource.tags or {}).get("Name"),
            **resource.attributes,
            "properties": plain(resource.properties),
        }
        for resource in observed
    }
    return CommandResult({"resources": resources}, _show_text(resources))


def validate(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """Whether the pillar of the environments is sound, with its peers; asks AWS nothing."""
    estate = load(opts, request.name, builds=True)
    count = len(estate.resources)
    names = list(estate.environments)
    return CommandResult(
        {"environments": names, "valid": True, "resources": count},
        f"{', '.join(names)}: sound, {count} resources in {estate.region}",
    )


def servers(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """The servers that the pillar declares, by name."""
    names = environment_names(opts, request.name)
    environments = environments_of(opts, names)
    listed = {
        server.name: plain(dataclasses.asdict(server))
        for name in names
        for server in declared_servers(environments[name])
    }
    return CommandResult({"servers": listed}, "\n".join(listed))


def tiers(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """The names of the servers, tier by tier in the order in which they are configured."""
    names = environment_names(opts, request.name)
    environments = environments_of(opts, names)
    listed = [list(tier) for name in names for tier in server_tiers(environments[name])]
    return CommandResult({"tiers": listed}, "\n".join(f"{n}: {', '.join(t)}" for n, t in enumerate(listed, 1)))


def _drift_text(plan: Plan, colour: bool) -> str:
    if not plan.drifted:
        return f"{', '.join(plan.environments)}: no drift, {len(plan.actions)} resources as declared"
    return render.text(plan, colour=colour)


def _show_text(resources: Mapping[str, Mapping[str, Any]]) -> str:
    width = max(map(len, resources), default=0)
    lines = [
        f"{address:<{width}}  {resource['id']:<24}  {resource['name'] or ''}".rstrip()
        for address, resource in resources.items()
    ]
    return "\n".join([*lines, f"{len(resources)} resources"])


def _applied(plan: Plan, report: Report) -> CommandResult:
    result = {"environments": list(plan.environments), "counts": dict(plan.counts), **render.report_data(report)}
    if report.failed:
        result["error"] = provision.failures(report)
    if plan.kept:
        result["kept"] = [str(observed.key) for observed in plan.kept]
    return CommandResult(
        result, lambda colour: _applied_text(plan, report, colour), ApplyFailed.exit_code if report.failed else 0
    )


def _applied_text(plan: Plan, report: Report, colour: bool) -> str:
    failed = [render.progress(outcome, colour=colour) for outcome in report.failed]
    kept = [f"kept with what is in it: {observed.key} {observed.id}" for observed in plan.kept]
    return "\n".join([*failed, *kept, render.report_text(report, colour=colour)])
