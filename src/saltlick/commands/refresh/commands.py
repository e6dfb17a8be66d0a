"""The operator's commands about refreshes: both pillars in, the evidence collected, one call of the core, a result out."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.backup.pillar import BackupKind, scripted
from saltlick.backup.restores import RestoreTarget
from saltlick.commands.arguments import Flag, Limit, Request, Text, WaitSeconds
from saltlick.commands.backup.context import backup_context, declared_backups
from saltlick.commands.context import declared_environment, single_environment
from saltlick.commands.job import open_store, running_job
from saltlick.commands.result import CommandResult
from saltlick.environment.pillar import Environment, declared_servers, layout
from saltlick.errors import InvalidInput, Problem
from saltlick.fleet.ports import Call
from saltlick.jobs.request import JobRequest
from saltlick.refresh import report
from saltlick.refresh.aws import instances
from saltlick.refresh.guard import DeclaredEnvironment, Evidence, KnownServer, objections
from saltlick.refresh.pillar import Refresh, parse_refresh
from saltlick.refresh.record import RefreshRecords
from saltlick.refresh.run import RefreshRequest, refresh
from saltlick.salt_io.pillar import known_environments

if TYPE_CHECKING:
    from saltlick.backup.context import BackupContext
    from saltlick.jobs.request import Caller

ANSWER_S = 60.0


class RefreshRunRequest(Request):
    """Whose data (`source`), and which environment gets it (`target`)."""

    source: Text = ""
    target: Text = ""
    test: Flag = False
    lock_wait: WaitSeconds = 0


class RefreshHistoryRequest(Request):
    """The newest `limit` refreshes; 0 is all."""

    limit: Limit = 20


def run(opts: Mapping[str, Any], request: RefreshRunRequest) -> CommandResult:
    """Give the target the source's data, masked and proved; or list everything that stands against it."""
    if request.name:
        problem = Problem(str(request.name), "say which is which: source=prod target=test")
        raise InvalidInput([problem], what="arguments")
    target, source = _named(opts, "target", request.target), _named(opts, "source", request.source)
    asked, declared = _refresh_request(opts, source, target, request.caller.user)
    with contextlib.ExitStack() as stack:
        progress = None
        if not request.test:
            job_request = _job_request(source, target, request.caller, request.lock_wait)
            progress = stack.enter_context(running_job(opts, job_request)).progress
        context = stack.enter_context(backup_context(opts, target, progress))
        against = objections(_evidence(opts, declared, source, target, asked, context))
        if against:
            what = f"refresh of {target} from {source}: refused"
            raise InvalidInput([Problem(target, objection) for objection in against], what=what)
        if request.test:
            text = f"{target} would get the data of {source}: nothing stands against it"
            return CommandResult({"source": source, "target": target, "servers": list(asked.target.servers)}, text)
        refreshed = refresh(asked, RefreshRecords(stack.enter_context(open_store(opts))), context)
    return CommandResult(report.data(refreshed), report.text(refreshed))


def history(opts: Mapping[str, Any], request: RefreshHistoryRequest) -> CommandResult:
    """Refreshes of a target, newest first."""
    target = single_environment(opts, request.name)
    with open_store(opts) as store:
        refreshes = RefreshRecords(store).history(target, limit=request.limit)
    return CommandResult(
        {"target": target, "refreshes": [report.data(refresh) for refresh in refreshes]}, report.table(refreshes)
    )


def _job_request(source: str, target: str, caller: Caller, lock_wait_s: float) -> JobRequest:
    return JobRequest(
        environments=(target,),
        feature="refresh",
        action="refresh",
        reason=f"refresh of {target} from {source}",
        caller=caller,
        lock_wait_s=lock_wait_s,
        over_stale=True,
    )


def _named(opts: Mapping[str, Any], argument: str, name: str) -> str:
    """One environment, by exactly its name."""
    if not name:
        raise InvalidInput([Problem(argument, f"name one environment: {argument}=")], what="arguments")
    return single_environment(opts, name)


def _refresh_request(
    opts: Mapping[str, Any], source: str, target: str, user: str
) -> tuple[RefreshRequest, dict[str, Environment]]:
    """What both pillars say: the request, and the environments by name.

    Raises: InvalidInput, for a target that is marked production before anything else is looked at.
    """
    environment, pillar = declared_environment(opts, target)
    spec = parse_refresh(pillar, environment)
    if spec.source != source:
        message = f"the pillar of {target} names {spec.source} as its source (refresh.source), not {source}"
        raise InvalidInput([Problem("source", message)], what="arguments")
    backups = declared_backups(opts, source)
    (backup_job,) = backups.chosen(spec.job)
    _suited(spec, backup_job.job.kind, target)
    servers = tuple(layout.server_names(environment, spec.servers))
    users = tuple(layout.server_names(environment, spec.application.servers)) if spec.application else ()
    restore = RestoreTarget(environment=target, servers=servers, store=spec.store)
    request = RefreshRequest(subject=backup_job, target=restore, how=spec, application=users, who=user)
    return request, {target: environment, source: backups.environment}


def _suited(spec: Refresh, kind: BackupKind, target: str) -> None:
    """Raises: InvalidInput with every script that data of that kind cannot be changed by."""
    scripts = {"mask": spec.masks, "mail": spec.mail}
    problems = [
        Problem(f"refresh.{key}[{number}]", f"scripts over {kind.value} have {scripted(kind)}")
        for key in scripts
        for number, script in enumerate(scripts[key])
        if not script.suits(kind)
    ]
    if problems:
        raise InvalidInput(problems, what=f"pillar of {target}")


def _evidence(
    opts: Mapping[str, Any],
    declared: dict[str, Environment],
    source: str,
    target: str,
    asked: RefreshRequest,
    context: BackupContext,
) -> Evidence:
    """What the pillars, AWS and the servers themselves say."""
    for name in known_environments(opts):
        if name not in declared:
            declared[name], _ = declared_environment(opts, name)
    calls = {server: Call("backup.whose") for server in asked.target.servers}
    replies = context.fleet.run(calls, deadline_s=ANSWER_S)
    known: dict[str, KnownServer | str] = {
        server: KnownServer(environment=str(reply.value["environment"]), production=bool(reply.value["production"]))
        if reply.ok
        else reply.error
        for server, reply in replies.items()
    }
    return Evidence(
        source=_declared(declared[source]),
        target=_declared(declared[target], only=asked.target.servers),
        others=tuple(_declared(environment) for name, environment in declared.items() if name not in {target, source}),
        shown=instances(aws.connect(declared[target].region)),
        known=known,
    )


def _declared(environment: Environment, *, only: tuple[str, ...] = ()) -> DeclaredEnvironment:
    servers = [server.name for server in declared_servers(environment) if not only or server.name in only]
    return DeclaredEnvironment(
        name=environment.name,
        production=environment.production,
        vpc=f"{environment.name}-vpc",
        cidr=str(environment.cidr),
        servers=tuple(servers),
    )
