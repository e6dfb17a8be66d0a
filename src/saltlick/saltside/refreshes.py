"""The operator's commands about refreshes: both pillars in, the evidence gathered, one call of the core, an `Answer` out."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from saltlick import aws, spec
from saltlick.backup.restores import Target
from saltlick.errors import InvalidInput, Problem
from saltlick.refresh import lines
from saltlick.refresh.aws import instances
from saltlick.refresh.guard import Declared, Evidence, Known, objections
from saltlick.refresh.record import Records
from saltlick.refresh.run import Asked, refresh
from saltlick.release.ports import Call
from saltlick.saltside.answer import Answer
from saltlick.saltside.backups import plan_of, staged
from saltlick.saltside.pillar import known_environments, pillar_of
from saltlick.saltside.subject import folder, one_name
from saltlick.saltside.typed import flag, typed
from saltlick.saltside.work import locked_work
from saltlick.spec import layout
from saltlick.spec import refresh as spec_of_refresh

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from saltlick.backup.stage import Stage

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
) -> Answer:
    """Give the target the source's data, masked and proved; or say everything that stands against it."""
    if name:
        raise InvalidInput([Problem(str(name), "say which is which: source=prod target=test")], what="arguments")
    here, there = _named(opts, "target", target), _named(opts, "source", source)
    asked, declared = _asked(opts, there, here, user)
    dry = flag("test", test)
    how: dict[str, Any] = {
        "reason": f"refresh of {here} from {there}",
        "job": jid,
        "user": user,
        "lock_wait": lock_wait,
    }
    with contextlib.ExitStack() as stack:
        told = None if dry else stack.enter_context(locked_work(opts, [here], **how))
        on = stack.enter_context(staged(opts, here, told))
        against = objections(_evidence(opts, declared, there, here, asked, on))
        if against:
            raise InvalidInput(
                [Problem(here, each) for each in against], what=f"refresh of {here} from {there}: refused"
            )
        if dry:
            said = f"{here} would get the data of {there}: nothing stands against it"
            return Answer({"source": there, "target": here, "servers": list(asked.target.servers)}, said)
        with records(opts) as kept:
            done = refresh(asked, kept, on)
    return Answer(lines.data(done), lines.text(done))


def history(opts: Mapping[str, Any], name: object, *, limit: object = 20) -> Answer:
    """Refreshes of a target, newest first."""
    one = one_name(opts, name)
    with records(opts) as kept:
        found = kept.history(one, limit=int(str(limit)))
    return Answer({"target": one, "refreshes": [lines.data(each) for each in found]}, lines.table(found))


@contextlib.contextmanager
def records(opts: Mapping[str, Any]) -> Iterator[Records]:
    """What this master knows of refreshes."""
    found = Records(folder(opts) / "refreshes.sqlite")
    try:
        yield found
    finally:
        found.close()


def _named(opts: Mapping[str, Any], argument: str, value: object) -> str:
    """One environment, by exactly its name."""
    word = typed(opts, argument, value) if not isinstance(value, (list, tuple)) else ""
    if not word:
        raise InvalidInput([Problem(argument, f"name one environment: {argument}=")], what="arguments")
    return one_name(opts, word)


def _asked(opts: Mapping[str, Any], there: str, here: str, user: str) -> tuple[Asked, dict[str, spec.Environment]]:
    """What both pillars say.

    Raises: InvalidInput, for a target that is marked production before anything else is looked at.
    """
    pillar = pillar_of(opts, here)
    declared = {here: spec.parse(pillar, environment=here)}
    how = spec_of_refresh.parse(pillar, declared[here])
    if how.source != there:
        said = f"the pillar of {here} names {how.source} as its source (refresh.source), not {there}"
        raise InvalidInput([Problem("source", said)], what="arguments")
    plan = plan_of(opts, there)
    declared[there] = plan.environment
    (subject,) = plan.chosen(how.job)
    servers = tuple(layout.server_names(declared[here], how.servers))
    users = tuple(layout.server_names(declared[here], how.application.servers)) if how.application else ()
    target = Target(environment=here, servers=servers, store=how.store)
    return Asked(subject=subject, target=target, how=how, application=users, who=user), declared


def _evidence(
    opts: Mapping[str, Any], declared: dict[str, spec.Environment], there: str, here: str, asked: Asked, on: Stage
) -> Evidence:
    """Everybody who may know is asked: pillars, AWS, the servers themselves."""
    for name in known_environments(opts):
        if name not in declared:
            declared[name] = spec.parse(pillar_of(opts, name), environment=name)
    replies = on.fleet.run({server: Call("backup.whose") for server in asked.target.servers}, deadline_s=ANSWER_S)
    known: dict[str, Known | str] = {
        server: Known(environment=str(reply.value["environment"]), production=bool(reply.value["production"]))
        if reply.ok
        else reply.error
        for server, reply in replies.items()
    }
    own = _declared(declared[here], only=asked.target.servers)
    others = tuple(_declared(one) for name, one in declared.items() if name not in {here, there})
    shown = instances(aws.connect(declared[here].region))
    return Evidence(source=_declared(declared[there]), target=own, others=others, shown=shown, known=known)


def _declared(environment: spec.Environment, *, only: tuple[str, ...] = ()) -> Declared:
    found = spec.servers(environment)
    wanted = [one for one in found if not only or one.name in only]
    return Declared(
        name=environment.name,
        production=environment.production,
        vpc=f"{environment.name}-vpc",
        cidr=str(environment.cidr),
        servers=tuple(one.name for one in wanted),
    )
