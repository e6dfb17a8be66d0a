"""The operator's commands on environments, one function each: pillar and AWS in, an `Answer` out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.commands.environment.admission import forget_stale_keys
from saltlick.commands.environment.estate import environments_of, load
from saltlick.commands.job import carry_out, locked_work
from saltlick.commands.result import CommandResult, plain
from saltlick.engine import render
from saltlick.environment import provision
from saltlick.environment.pillar import declared_servers, server_tiers
from saltlick.errors import ApplyFailed, InvalidInput
from saltlick.kinds import KINDS
from saltlick.salt_io.pillar import environment_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.engine.apply import Report
    from saltlick.engine.plan import Plan
    from saltlick.environment.provision import Estate


def plan(opts: Mapping[str, Any], name: object, *, replace: object = None, prune: bool = False) -> CommandResult:
    """What apply would do."""
    estate = load(opts, name)
    found = provision.plan(estate, aws.connect(estate.region), KINDS, replace=split_list(replace), prune=prune)
    return _planned(found)


def apply(
    opts: Mapping[str, Any],
    name: object,
    *,
    replace: object = None,
    prune: bool = False,
    job: str = "",
    user: str = "",
    lock_wait: object = 0,
) -> CommandResult:
    """Build what the pillar says, under the lock."""
    names = environment_names(opts, name)
    reason = f"environment.apply {','.join(names)}"
    with locked_work(opts, names, reason=reason, job=job, user=user, lock_wait=lock_wait) as progress:
        estate = load(opts, names, create_master_key=True)
        cloud = aws.connect(estate.region, notify=progress.line)
        found = provision.plan(estate, cloud, KINDS, replace=split_list(replace), prune=prune)
        return _done(found, carry_out(estate, found, cloud, progress))


def destroy(
    opts: Mapping[str, Any], name: object, *, confirm: str = "", job: str = "", user: str = "", lock_wait: object = 0
) -> CommandResult:
    """Delete everything of the environments, under the lock, in order. Unconfirmed, say what that would be."""
    names = environment_names(opts, name)
    typed_back = ",".join(names)
    if str(confirm or "") != typed_back:
        return _unconfirmed(load(opts, names), typed_back)
    reason = f"environment.destroy {typed_back}"
    with locked_work(opts, names, reason=reason, job=job, user=user, lock_wait=lock_wait) as progress:
        estate = load(opts, names)
        cloud = aws.connect(estate.region, notify=progress.line)
        found = provision.plan_destroy(estate, cloud, KINDS, confirm=typed_back)
        done = _done(found, carry_out(estate, found, cloud, progress))
        return dataclasses.replace(
            done, result={**done.result, "keys_forgotten": forget_stale_keys(opts, names, cloud)}
        )


def _unconfirmed(estate: Estate, typed_back: str) -> CommandResult:
    found = provision.plan_destroy(estate, aws.connect(estate.region), KINDS, confirm=typed_back)
    count = len(found.actions)
    error = f"nothing was touched: to delete these {count} resources, type the name back as confirm={typed_back}"
    told = {**render.data(found), "error": error}
    return CommandResult(told, lambda colour: f"{render.text(found, colour=colour)}\n{error}", InvalidInput.exit_code)


def drift(opts: Mapping[str, Any], name: object) -> CommandResult:
    """What differs between AWS and the pillar, whoever changed which."""
    estate = load(opts, name)
    found = provision.plan(estate, aws.connect(estate.region), KINDS)
    told = render.data(found)
    told["actions"] = [
        action for action in told["actions"] if action["action"] != "keep" or action.keys() & {"drift", "undecided"}
    ]
    return CommandResult({**told, "drifted": found.drifted}, lambda colour: _drift_text(found, colour))


def show(opts: Mapping[str, Any], name: object) -> CommandResult:
    """Everything of ours in the environments, as AWS has it."""
    estate = load(opts, name)
    found = provision.show(estate, aws.connect(estate.region), KINDS)
    resources = {
        str(one.key): {"name": (one.tags or {}).get("Name"), **one.attributes, "properties": plain(one.properties)}
        for one in found
    }
    return CommandResult({"resources": resources}, _show_text(resources))


def validate(opts: Mapping[str, Any], name: object) -> CommandResult:
    """Whether the pillar of the environments is sound, with its peers; asks AWS nothing."""
    estate = load(opts, name)
    count = len(estate.resources)
    names = list(estate.environments)
    return CommandResult(
        {"environments": names, "valid": True, "resources": count},
        f"{', '.join(names)}: sound, {count} resources in {estate.region}",
    )


def servers(opts: Mapping[str, Any], name: object) -> CommandResult:
    """The servers that the pillar declares, by name."""
    names = environment_names(opts, name)
    found = environments_of(opts, names)
    listed = {
        server.name: plain(dataclasses.asdict(server)) for one in names for server in declared_servers(found[one])
    }
    return CommandResult({"servers": listed}, "\n".join(listed))


def tiers(opts: Mapping[str, Any], name: object) -> CommandResult:
    """The names of the servers, tier by tier in the order in which they are configured."""
    names = environment_names(opts, name)
    found = environments_of(opts, names)
    listed = [list(tier) for one in names for tier in server_tiers(found[one])]
    return CommandResult({"tiers": listed}, "\n".join(f"{n}: {', '.join(t)}" for n, t in enumerate(listed, 1)))


def split_list(value: object) -> tuple[str, ...]:
    """`a,b`, a list, one word or nothing, as the command line gives it."""
    if value is None or value == "":
        return ()
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else (value,)
    return tuple(str(part).strip() for part in parts if str(part).strip())


def _planned(found: Plan) -> CommandResult:
    told = {**render.data(found), "changes_anything": found.changes_anything}
    return CommandResult(told, lambda colour: render.text(found, colour=colour))


def _drift_text(found: Plan, colour: bool) -> str:
    if not found.drifted:
        return f"{', '.join(found.environments)}: no drift, {len(found.actions)} resources as declared"
    return render.text(found, colour=colour)


def _show_text(resources: Mapping[str, Mapping[str, Any]]) -> str:
    width = max(map(len, resources), default=0)
    lines = [f"{address:<{width}}  {one['id']:<24}  {one['name'] or ''}".rstrip() for address, one in resources.items()]
    return "\n".join([*lines, f"{len(resources)} resources"])


def _done(found: Plan, report: Report) -> CommandResult:
    told = {"environments": list(found.environments), "counts": dict(found.counts), **render.report_data(report)}
    if report.failed:
        told["error"] = "; ".join(f"{outcome.key}: {outcome.error or 'not started'}" for outcome in report.failed)
    return CommandResult(told, lambda colour: _done_text(report, colour), ApplyFailed.exit_code if report.failed else 0)


def _done_text(report: Report, colour: bool) -> str:
    failures = [render.progress(outcome, colour=colour) for outcome in report.failed]
    return "\n".join([*failures, render.report_text(report, colour=colour)])
