"""What Salt's own scheduler does by itself for an environment: jobs of the minion that the master has on its own machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.backup.pillar import BACKUP_KEY, Backups, Timing, parse_backups
from saltlick.commands.context import master_ports
from saltlick.commands.state import state
from saltlick.environment.pillar import declared_servers, parse_environment
from saltlick.errors import ServerFailed
from saltlick.fleet.ports import Call
from saltlick.salt_io.pillar import pillar_of, require_pillarenv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from saltlick.environment.pillar import DeclaredServer
    from saltlick.fleet.ports import Fleet

ANSWER_S = 60.0
LOCK_WAIT_S = 3600
"""A deployment or a release that is under way when a backup is due: it comes after it."""
DATABASE = Timing(cron="*/5 * * * *", every_s=None)
FRESHNESS = Timing(cron="*/15 * * * *", every_s=None)


def scheduled(opts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Install what the environment's pillar wants done by itself, and take out what it does not want any more."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        jobs, minion = wanted(opts, name), own_minion(opts)
        with master_ports(opts) as ports:
            return installed(ports.fleet, minion, name, jobs, test=bool(opts.get("test")))

    return state(name, step)


def own_minion(opts: Mapping[str, Any]) -> str:
    """The id of the minion beside this master: the master's own, without the tail that Salt gives it."""
    return str(opts["id"]).removesuffix("_master")


def wanted(opts: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """What is to be scheduled, by name, as `schedule.present` takes it.

    Raises: InvalidInput.
    """
    pillar = pillar_of(opts, name)
    jobs: dict[str, dict[str, Any]] = {}
    if BACKUP_KEY in pillar:
        jobs |= dict(of_backups(name, parse_backups(pillar, parse_environment(pillar, environment=name))))
    return jobs | dict(of_databases(name, declared_servers(parse_environment(pillar, environment=name))))


def of_databases(name: str, servers: Sequence[DeclaredServer]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every five minutes whether the database cluster is well, where there is one."""
    if any("postgresql" in server.roles for server in servers):
        yield f"{_mark(name)}database", _job("database.status", name, DATABASE, 0)


def of_backups(name: str, backups: Backups) -> Iterator[tuple[str, dict[str, Any]]]:
    """Runs, drills, and every quarter of an hour whether all is fresh."""
    for job, spec in backups.jobs.items():
        for mode, timing in (("full", spec.full), ("incr", spec.incremental)):
            if timing:
                yield (
                    f"{_mark(name)}backup {job} {mode}",
                    _job("backup.run", name, timing, spec.splay_s, job=job, mode=mode, lock_wait=LOCK_WAIT_S),
                )
        if spec.drill and spec.drill.at:
            yield (
                f"{_mark(name)}drill {job}",
                _job("backup.drill", name, spec.drill.at, spec.splay_s, job=job, lock_wait=LOCK_WAIT_S),
            )
    yield f"{_mark(name)}freshness", _job("backup.freshness", name, FRESHNESS, 0)


def _job(function: str, name: str, timing: Timing, splay_s: int, **arguments: Any) -> dict[str, Any]:
    """One runner, called on time; never twice at once, and none that was missed is made up for by a crowd."""
    entry: dict[str, Any] = {
        "function": "saltutil.runner",
        "job_args": [function],
        "job_kwargs": {"arg": [name], "kwarg": arguments},
        "maxrunning": 1,
    }
    entry |= {"cron": timing.cron} if timing.cron else {"seconds": timing.every_s}
    return {**entry, "splay": splay_s} if splay_s else entry


def _mark(name: str) -> str:
    return f"saltlick {name}: "


SYNC = Call("saltutil.sync_modules")
"""The module with which it signs its replies: the master's own minion is of no environment that is deployed."""


def installed(
    fleet: Fleet, minion: str, name: str, jobs: Mapping[str, Mapping[str, Any]], *, test: bool
) -> dict[str, Any]:
    """Make the scheduler have exactly these jobs of this environment; a state's parts.

    Raises: ServerFailed where something is wanted and the minion does not answer.
    """
    _asked(fleet, minion, SYNC)
    there = _asked(fleet, minion, Call("schedule.list", kwargs={"return_yaml": False}))
    if jobs and there is None:
        raise ServerFailed(f"{minion}, the master's own minion, whose scheduler is wanted, does not answer")
    ours = [scheduled for scheduled in there or {} if scheduled.startswith(_mark(name))]
    high: dict[str, Any] = {
        **{
            job_name: {"schedule": ["present", *({key: value} for key, value in job.items())]}
            for job_name, job in jobs.items()
        },
        **{scheduled: {"schedule": ["absent"]} for scheduled in ours if scheduled not in jobs},
    }
    returned = _asked(fleet, minion, Call("state.high", (high,), {"test": test})) if high else {}
    states = {state["name"]: state for state in returned.values()} if isinstance(returned, dict) else {}
    missing = [] if states or not high else [str(returned or f"{minion} does not answer")]
    changes = {job: state["changes"] for job, state in states.items() if state.get("changes")}
    bad = [
        *missing,
        *(f"{job}: {state.get('comment')}" for job, state in states.items() if state.get("result") is False),
    ]
    well = f"{len(jobs)} jobs are scheduled on {minion}" if jobs else "nothing is to be scheduled"
    result = False if bad else (None if test and changes else True)
    return {"result": result, "changes": changes, "comment": "\n".join(bad) or well}


def _asked(fleet: Fleet, minion: str, call: Call) -> Any:
    """What the minion returned; nothing where it did not answer."""
    reply = fleet.run({minion: call}, deadline_s=ANSWER_S)[minion]
    return reply.value if reply.ok or reply.value else None
