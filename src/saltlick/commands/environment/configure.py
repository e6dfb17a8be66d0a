"""Servers told to take modules, and a tier to configure itself: every one is heard or named, and the deadline holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from salt.fileserver import Fileserver

from saltlick.commands.context import declared_environment, master_ports
from saltlick.commands.environment.minion_restart import restarting, wait_until_back
from saltlick.commands.environment.released import released_pillar
from saltlick.commands.job import job_progress
from saltlick.commands.state import state
from saltlick.errors import InvalidInput
from saltlick.fleet.ports import Call
from saltlick.release.report.wording import count
from saltlick.salt_io.pillar import require_pillarenv

if TYPE_CHECKING:
    from saltlick.fleet.ports import Reply
    from saltlick.jobs.request import Caller

SYNC_S = 300.0
KINDS = (
    *("modules", "states", "grains", "utils", "renderers", "returners", "output", "beacons", "clouds", "engines"),
    *("executors", "log_handlers", "matchers", "proxymodules", "sdb", "serializers", "thorium"),
)
"""Source: Salt's `saltutil` module."""
TURN = 9
"""How many highstates may wait for each other on a server. An interrupted run leaves its servers at work, and the lock is free
again: the next one takes its turn. A number, because for True Salt 3008 puts the job aside and takes it for a lost one."""


def synced(opts: Mapping[str, Any], name: str, *, servers: Sequence[str]) -> dict[str, Any]:
    """Give exactly these servers the modules of the file server; changes are the files that were new to one."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        if opts.get("test"):
            return {"comment": f"modules would be synced to {', '.join(servers)}"}
        new: dict[str, dict[str, Any]] = {}
        bad: dict[str, str] = {}
        for call in (*(Call(f"saltutil.sync_{kind}") for kind in extensions(opts)), Call("saltutil.refresh_pillar")):
            for server, reply in _ask(opts, servers, call, SYNC_S).items():
                if not reply.ok:
                    bad.setdefault(server, f"{server}: {reply.error}")
                elif isinstance(reply.value, list) and reply.value:
                    new.setdefault(server, {})[call.function.removeprefix("saltutil.sync_")] = reply.value
            if bad:
                break
        well = f"{count(len(servers), 'server')} synced, {len(new)} had something to get"
        return {"result": not bad, "changes": new, "comment": "\n".join(bad.values()) or well}

    return state(name, step)


def configured(
    opts: Mapping[str, Any], name: str, *, servers: Sequence[str], deadline_s: float | None = None, caller: Caller
) -> dict[str, Any]:
    """Run the highstate on exactly these servers; each that fails, falls silent or is not done in time is named."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        declared, pillar = declared_environment(opts, name)
        limit_s = float(declared.deadlines.highstate_s if deadline_s is None else deadline_s)
        test = bool(opts.get("test"))
        arguments: dict[str, Any] = {"saltenv": "base", "pillarenv": name, "queue": TURN, "test": test}
        _require_some(servers)
        with master_ports(opts) as ports:
            if released := released_pillar(opts, declared, pillar, servers, ports.fleet):
                arguments["pillar"] = released
            calls = dict.fromkeys(servers, Call("state.highstate", kwargs=arguments))
            replies = dict(ports.fleet.run(calls, deadline_s=limit_s))
        if not test and (restarts := restarting(replies)):
            with master_ports(opts) as ports:
                lost = wait_until_back(restarts, ports.fleet, ports.clock)
            replies |= {
                server: replace(replies[server], ok=False, value=None, error=why) for server, why in lost.items()
            }
        with job_progress(opts, caller.job_id) as progress:
            for server, reply in replies.items():
                progress.line(f"{server}  {sentence(reply)}  {reply.duration_ms / 1000:.0f} s")
        return highstate_parts(replies, test=test)

    return state(name, step)


def _ask(opts: Mapping[str, Any], servers: Sequence[str], call: Call, deadline_s: float) -> Mapping[str, Reply]:
    """The same call to all of them; a reply of each, whatever happened to it.

    Raises: InvalidInput when nobody is named: a state about no server would always be well.
    """
    _require_some(servers)
    with master_ports(opts) as ports:
        return ports.fleet.run(dict.fromkeys(servers, call), deadline_s=deadline_s)


def _require_some(servers: Sequence[str]) -> None:
    if isinstance(servers, str) or not servers:
        raise InvalidInput(["servers: give a list of minion ids"], what="arguments")


def extensions(opts: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of module that the file server has something of, as `saltutil.sync_<kind>` calls them.

    To ask for all twenty kinds, as `sync_all` does, costs a server five seconds of its processor, and most have nothing.
    """
    files = Fileserver(dict(opts))
    folders = {path.partition("/")[0] for saltenv in files.envs() for path in files.file_list({"saltenv": saltenv})}
    return tuple(kind for kind in KINDS if f"_{kind}" in folders)


def highstate_parts(replies: Mapping[str, Reply], *, test: bool = False) -> dict[str, Any]:
    """The parts of a state, from what the servers said: changes as `salt.state` gives them, so that they print alike."""
    bad = [server for server, reply in replies.items() if not reply.ok]
    shown = {s: reply.value for s, reply in replies.items() if _states(reply) and (changed(reply) or not reply.ok)}
    return {
        "result": False if bad else None if test and shown else True,
        "changes": {"out": "highstate", "ret": shown} if shown else {},
        "comment": "\n".join(f"{server}: {sentence(replies[server])}" for server in bad or replies),
    }


def sentence(reply: Reply) -> str:
    """What came of one server's highstate: counts, the states that failed, or why there are none."""
    states = _states(reply)
    if not states:
        return reply.error or "no states"
    failed = [state for state in states.values() if state.get("result") is False]
    if not failed:
        return f"{count(len(states), 'state')}, {changed(reply)} changed"
    first = "; ".join(f"{state.get('__id__')}: {_line(state.get('comment'))}" for state in failed[:3])
    return f"{len(failed)} of {count(len(states), 'state')} failed: {first}{'; …' if len(failed) > 3 else ''}"


def changed(reply: Reply) -> int:
    """How many states changed something, or would."""
    return sum(bool(state.get("changes")) for state in _states(reply).values())


def _states(reply: Reply) -> dict[str, Any]:
    """By Salt's key of each; nothing where the highstate did not compile, or the server said nothing."""
    value = reply.value
    whole = isinstance(value, Mapping) and value and all(isinstance(state, Mapping) for state in value.values())
    return dict(value) if whole else {}


def _line(comment: object) -> str:
    lines = [line.strip() for line in str(comment or "").splitlines() if line.strip()]
    return lines[0] if lines else "failed without a word"
