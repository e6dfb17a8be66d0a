"""The operator's commands about database clusters: pillar in, one call of the core, a result out."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from saltlick.commands.arguments import Request, Text, WaitSeconds
from saltlick.commands.context import declared_environment, master_ports
from saltlick.commands.database.announced import announced
from saltlick.commands.job import job_progress, running_job
from saltlick.commands.result import CommandResult
from saltlick.database import change, report
from saltlick.database.change import DatabaseChange, DatabaseContext
from saltlick.database.verdict import findings
from saltlick.environment.pillar import declared_servers
from saltlick.errors import InvalidInput, Problem, SaltlickError
from saltlick.jobs.request import JobRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROLE = "postgresql"


class DatabaseStatusRequest(Request):
    """The environment."""


class DatabaseServerRequest(Request):
    """`server` is the one that is changed; it may be left out where there is no choice."""

    server: Text = ""
    lock_wait: WaitSeconds = 0


class DatabaseTakeoverRequest(DatabaseServerRequest):
    """`within_s` is how long the server may take to be the primary."""

    within_s: WaitSeconds = 60


class DatabasePauseRequest(Request):
    """The environment."""

    lock_wait: WaitSeconds = 0


def status(opts: Mapping[str, Any], request: DatabaseStatusRequest) -> CommandResult:
    """What every database server says of itself, and what is wrong; exit code 4 where something is."""
    with _context(opts, request.name) as context:
        cluster = context.look()
    found = findings(cluster)
    with job_progress(opts, request.caller.job_id) as progress:
        announced(opts, request.caller.user, cluster, found, progress.line)
    red = any(finding.red for finding in found)
    return CommandResult(
        report.data(cluster, found),
        lambda colour: report.text(cluster, found, colour),
        SaltlickError.exit_code if red else 0,
    )


def switchover(opts: Mapping[str, Any], request: DatabaseTakeoverRequest) -> CommandResult:
    """A standby takes over from the primary, which becomes its standby."""
    within_s = request.within_s
    return _changed(opts, request, "switchover", lambda context: change.switchover(context, request.server, within_s))


def promote(opts: Mapping[str, Any], request: DatabaseTakeoverRequest) -> CommandResult:
    """A standby becomes the primary where there is none."""
    return _changed(opts, request, "promote", lambda context: change.promote(context, request.server, request.within_s))


def reinit(opts: Mapping[str, Any], request: DatabaseServerRequest) -> CommandResult:
    """A server's database is made anew as a copy of the primary's."""
    return _changed(opts, request, "reinit", lambda context: change.reinit(context, request.server))


def pause(opts: Mapping[str, Any], request: DatabasePauseRequest) -> CommandResult:
    """Switch automatic failover off."""
    return _changed(opts, request, "pause", lambda context: change.pause(context, resume=False))


def resume(opts: Mapping[str, Any], request: DatabasePauseRequest) -> CommandResult:
    """Switch automatic failover on again."""
    return _changed(opts, request, "resume", lambda context: change.pause(context, resume=True))


def _changed(
    opts: Mapping[str, Any],
    request: DatabaseServerRequest | DatabasePauseRequest,
    action: str,
    make: Callable[[DatabaseContext], DatabaseChange],
) -> CommandResult:
    """Under the environment's lock. A lock that is stale is taken over: each change looks at what is first."""
    with _context(opts, request.name) as context:
        job = JobRequest(
            environments=(context.environment,), feature="database", action=action,
            reason=f"{action} of the database of {context.environment}",
            caller=request.caller, lock_wait_s=request.lock_wait, over_stale=True,
        )  # fmt: skip
        with running_job(opts, job):
            changed = make(context)
    found = findings(changed.after)
    return CommandResult(
        {"action": action, "server": changed.server, **report.data(changed.after, found)},
        lambda colour: report.change_text(changed, found, colour),
    )


@contextlib.contextmanager
def _context(opts: Mapping[str, Any], name: object) -> Iterator[DatabaseContext]:
    """The database servers that the pillar declares. Raises: InvalidInput where there are none."""
    environment, _ = declared_environment(opts, name)
    servers = [server.name for server in declared_servers(environment) if ROLE in server.roles]
    if not servers:
        message = f"no group of servers has the role {ROLE}, so there is no database"
        raise InvalidInput([Problem(f"{environment.name}: environment.servers", message)], what="pillar")
    with master_ports(opts) as ports:
        yield DatabaseContext(environment=environment.name, servers=servers, fleet=ports.fleet, clock=ports.clock)
