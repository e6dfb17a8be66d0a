"""The operator's commands about refreshes: both pillars in, the evidence gathered, one call of the core, an `Answer` out."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.backup.restores import RestoreTarget
from saltlick.commands.arguments import flag_argument, text_argument
from saltlick.commands.backup.commands import backup_context, declared_backups
from saltlick.commands.job import locked_work
from saltlick.commands.release.context import single_environment, state_folder
from saltlick.commands.result import CommandResult
from saltlick.environment.pillar import Environment, declared_servers, layout, parse_environment
from saltlick.errors import InvalidInput, Problem
from saltlick.fleet.ports import Call
from saltlick.refresh import report
from saltlick.refresh.aws import instances
from saltlick.refresh.guard import DeclaredEnvironment, Evidence, KnownServer, objections
from saltlick.refresh.pillar import parse_refresh
from saltlick.refresh.record import RefreshRecords
from saltlick.refresh.run import RefreshRequest, refresh
from saltlick.salt_io.pillar import known_environments, pillar_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from saltlick.backup.context import BackupContext

ANSWER_S = 60.0


def run(
    opts: Mapping[str, Any],
    name: object = None,
    *,
    source: object = "",
    target: object = "",
    test: object = False,
    lock_wait: object = 0,
    jid: str = "",
    user: str = "",
) -> CommandResult:
    """Give the target the source's data, masked and proved; or say everything that stands against it."""
    if name:
        raise InvalidInput([Problem(str(name), "say which is which: source=prod target=test")], what="arguments")
    here, there = _named(opts, "target", target), _named(opts, "source", source)
    asked, declared = _asked(opts, there, here, user)
    dry = flag_argument("test", test)
    how: dict[str, Any] = {
        "reason": f"refresh of {here} from {there}",
        "job": jid,
        "user": user,
        "lock_wait": lock_wait,
    }
    with contextlib.ExitStack() as stack:
        told = None if dry else stack.enter_context(locked_work(opts, [here], **how))
        on = stack.enter_context(backup_context(opts, here, told))
        against = objections(_evidence(opts, declared, there, here, asked, on))
        if against:
            raise InvalidInput(
                [Problem(here, each) for each in against], what=f"refresh of {here} from {there}: refused"
            )
        if dry:
            said = f"{here} would get the data of {there}: nothing stands against it"
            return CommandResult({"source": there, "target": here, "servers": list(asked.target.servers)}, said)
        with records(opts) as kept:
            done = refresh(asked, kept, on)
    return CommandResult(report.data(done), report.text(done))


def history(opts: Mapping[str, Any], name: object, *, limit: object = 20) -> CommandResult:
    """Refreshes of a target, newest first."""
    one = single_environment(opts, name)
    with records(opts) as kept:
        found = kept.history(one, limit=int(str(limit)))
    return CommandResult({"target": one, "refreshes": [report.data(each) for each in found]}, report.table(found))


@contextlib.contextmanager
def records(opts: Mapping[str, Any]) -> Iterator[RefreshRecords]:
    """What this master knows of refreshes."""
    found = RefreshRecords(state_folder(opts) / "refreshes.sqlite")
    try:
        yield found
    finally:
        found.close()


def _named(opts: Mapping[str, Any], argument: str, value: object) -> str:
    """One environment, by exactly its name."""
    word = text_argument(opts, argument, value) if not isinstance(value, (list, tuple)) else ""
    if not word:
        raise InvalidInput([Problem(argument, f"name one environment: {argument}=")], what="arguments")
    return single_environment(opts, word)


def _asked(opts: Mapping[str, Any], there: str, here: str, user: str) -> tuple[RefreshRequest, dict[str, Environment]]:
    """What both pillars say.

    Raises: InvalidInput, for a target that is marked production before anything else is looked at.
    """
    pillar = pillar_of(opts, here)
    declared = {here: parse_environment(pillar, environment=here)}
    how = parse_refresh(pillar, declared[here])
    if how.source != there:
        said = f"the pillar of {here} names {how.source} as its source (refresh.source), not {there}"
        raise InvalidInput([Problem("source", said)], what="arguments")
    plan = declared_backups(opts, there)
    declared[there] = plan.environment
    (subject,) = plan.chosen(how.job)
    servers = tuple(layout.server_names(declared[here], how.servers))
    users = tuple(layout.server_names(declared[here], how.application.servers)) if how.application else ()
    target = RestoreTarget(environment=here, servers=servers, store=how.store)
    return RefreshRequest(subject=subject, target=target, how=how, application=users, who=user), declared


def _evidence(
    opts: Mapping[str, Any],
    declared: dict[str, Environment],
    there: str,
    here: str,
    asked: RefreshRequest,
    on: BackupContext,
) -> Evidence:
    """Everybody who may know is asked: pillars, AWS, the servers themselves."""
    for name in known_environments(opts):
        if name not in declared:
            declared[name] = parse_environment(pillar_of(opts, name), environment=name)
    replies = on.fleet.run({server: Call("backup.whose") for server in asked.target.servers}, deadline_s=ANSWER_S)
    known: dict[str, KnownServer | str] = {
        server: KnownServer(environment=str(reply.value["environment"]), production=bool(reply.value["production"]))
        if reply.ok
        else reply.error
        for server, reply in replies.items()
    }
    own = _declared(declared[here], only=asked.target.servers)
    others = tuple(_declared(one) for name, one in declared.items() if name not in {here, there})
    shown = instances(aws.connect(declared[here].region))
    return Evidence(source=_declared(declared[there]), target=own, others=others, shown=shown, known=known)


def _declared(environment: Environment, *, only: tuple[str, ...] = ()) -> DeclaredEnvironment:
    found = declared_servers(environment)
    wanted = [one for one in found if not only or one.name in only]
    return DeclaredEnvironment(
        name=environment.name,
        production=environment.production,
        vpc=f"{environment.name}-vpc",
        cidr=str(environment.cidr),
        servers=tuple(one.name for one in wanted),
    )
