"""Whole environments for states: `environment.present` and its siblings, as an orchestration uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.commands.environment.admission import forget_stale_keys
from saltlick.commands.environment.commands import split_list
from saltlick.commands.environment.estate import load
from saltlick.commands.job import carry_out, locked_work
from saltlick.commands.lock import environment_locks, wait_seconds
from saltlick.commands.state import applied, planned, state
from saltlick.engine import render
from saltlick.engine.plan import Verb
from saltlick.environment import provision
from saltlick.jobs.lock import Mode
from saltlick.kinds import KINDS
from saltlick.salt_io.pillar import require_pillarenv

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from saltlick.engine.apply import Outcome, Report
    from saltlick.engine.plan import Plan
    from saltlick.engine.ports import Cloud
    from saltlick.environment.provision import Estate
    from saltlick.salt_io.progress import Progress


def present(
    opts: Mapping[str, Any],
    name: str,
    *,
    replace: object = None,
    prune: bool = False,
    job: str = "",
    lock_wait: object = 0,
) -> dict[str, Any]:
    """Make the environment what its pillar says; with `test=True` say what that would take."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        if opts.get("test"):
            estate = load(opts, name)
            return _shown(_plan(estate, aws.connect(estate.region), replace, prune))
        with _working(opts, name, "present", job, lock_wait) as progress:
            estate = load(opts, name, create_master_key=True)
            cloud = aws.connect(estate.region, notify=progress.line)
            return done(estate, _plan(estate, cloud, replace, prune), cloud, progress)

    return state(name, step)


def absent(opts: Mapping[str, Any], name: str, *, confirm: str, job: str = "", lock_wait: object = 0) -> dict[str, Any]:
    """Delete everything of the environment; with `test=True` say what that would be."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        if opts.get("test"):
            estate = load(opts, name)
            return _shown(provision.plan_destroy(estate, aws.connect(estate.region), KINDS, confirm=confirm))
        with _working(opts, name, "absent", job, lock_wait) as progress:
            estate = load(opts, name)
            cloud = aws.connect(estate.region, notify=progress.line)
            parts = done(estate, provision.plan_destroy(estate, cloud, KINDS, confirm=confirm), cloud, progress)
            forgotten = forget_stale_keys(opts, [name], cloud)
            parts["changes"] |= {key: {"key": "forgotten", "why": why} for key, why in forgotten.items()}
            return parts

    return state(name, step)


def locked(opts: Mapping[str, Any], name: str, *, reason: str, job: str = "", lock_wait: object = 0) -> dict[str, Any]:
    """Take the environment's lock for the rest of this process; whatever ends it gives the lock back."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        desk = environment_locks(opts)
        if opts.get("test"):
            there = desk.read(name)
            return {"result": None, "comment": f"{name} is locked by {there}" if there else f"{name} would be locked"}
        taken = desk.take(name, reason=reason, job=job, mode=Mode.RUN, wait_s=wait_seconds(lock_wait))
        desk.release_at_exit(taken)
        return {"comment": "; ".join(part for part in (f"{name} is locked: {reason}", taken.notice) if part)}

    return state(name, step)


def unlocked(opts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give back the lock that `locked` took in this process; anybody else's stays."""

    def step() -> dict[str, Any]:
        desk = environment_locks(opts)
        if opts.get("test"):
            return {"comment": f"{name} would be unlocked"}
        gone = desk.release_run(name)
        return {"comment": f"{name} is unlocked" if gone else f"{name} was not locked by this run"}

    return state(name, step)


def done(estate: Estate, plan: Plan, cloud: Cloud, progress: Progress) -> dict[str, Any]:
    """Carry a plan out and shape what became of it into a state's parts."""
    report = carry_out(estate, plan, cloud, progress)
    return applied(render.report_data(report), render.data(plan), _comment(report))


def _plan(estate: Estate, cloud: Any, replace: object, prune: bool) -> Plan:
    return provision.plan(estate, cloud, KINDS, replace=split_list(replace), prune=prune)


def _shown(plan: Plan) -> dict[str, Any]:
    return planned(render.data(plan), render.text(plan, everything=True))


def _working(
    opts: Mapping[str, Any], name: str, what: str, job: str, lock_wait: object
) -> AbstractContextManager[Progress]:
    return locked_work(opts, [name], reason=f"environment.{what} {name}", job=job, lock_wait=lock_wait)


def _comment(report: Report) -> str:
    """Every resource and what became of it: on a second run, that nothing did."""
    return "\n".join([*map(_line, report.outcomes), render.report_text(report)])


def _line(outcome: Outcome) -> str:
    if outcome.verb is Verb.KEEP and outcome.ok:
        return f"  {outcome.key}  {outcome.id}  unchanged"
    return render.progress(outcome)
