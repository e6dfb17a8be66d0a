"""Whole environments for states: `environment.present` and its siblings, as an orchestration uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick import aws, provision
from saltlick.engine import render
from saltlick.kinds import KINDS
from saltlick.lock import Mode
from saltlick.saltside.commands import say_notices, words
from saltlick.saltside.estate import load
from saltlick.saltside.gate import sweep
from saltlick.saltside.locks import locks
from saltlick.saltside.pillar import require_pillarenv
from saltlick.saltside.progress import Progress
from saltlick.saltside.state import applied, planned, state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.engine.apply import Report
    from saltlick.engine.plan import Plan
    from saltlick.provision import Estate


def present(
    opts: Mapping[str, Any],
    name: str,
    *,
    replace: object = None,
    prune: bool = False,
    job: str = "",
    lock_wait: float = 0,
) -> dict[str, Any]:
    """Make the environment what its pillar says; with `test=True` say what that would take."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        if opts.get("test"):
            estate = load(opts, name)
            return _shown(_plan(estate, aws.connect(estate.region), replace, prune))
        with Progress(opts, job) as progress, _held(opts, name, "present", job, lock_wait) as taken:
            say_notices(progress, taken)
            estate = load(opts, name, create_master_key=True)
            cloud = aws.connect(estate.region, tell=progress.line)
            return carry_out(estate, _plan(estate, cloud, replace, prune), cloud, progress)

    return state(name, step)


def absent(opts: Mapping[str, Any], name: str, *, confirm: str, job: str = "", lock_wait: float = 0) -> dict[str, Any]:
    """Delete everything of the environment; with `test=True` say what that would be."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        if opts.get("test"):
            estate = load(opts, name)
            return _shown(provision.plan_destroy(estate, aws.connect(estate.region), KINDS, confirm=confirm))
        with Progress(opts, job) as progress, _held(opts, name, "absent", job, lock_wait) as taken:
            say_notices(progress, taken)
            estate = load(opts, name)
            cloud = aws.connect(estate.region, tell=progress.line)
            done = carry_out(estate, provision.plan_destroy(estate, cloud, KINDS, confirm=confirm), cloud, progress)
            done["changes"] |= {
                key: {"key": "forgotten", "why": why} for key, why in sweep(opts, [name], cloud).items()
            }
            return done

    return state(name, step)


def locked(opts: Mapping[str, Any], name: str, *, reason: str, job: str = "", lock_wait: float = 0) -> dict[str, Any]:
    """Take the environment's lock for the rest of this process; whatever ends it gives the lock back."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        desk = locks(opts)
        if opts.get("test"):
            there = desk.read(name)
            return {"result": None, "comment": f"{name} is locked by {there}" if there else f"{name} would be locked"}
        taken = desk.take(name, reason=reason, job=job, mode=Mode.RUN, wait_s=float(lock_wait))
        desk.release_at_exit(taken)
        return {"comment": "; ".join(part for part in (f"{name} is locked: {reason}", taken.notice) if part)}

    return state(name, step)


def unlocked(opts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give back the lock that `locked` took in this process; anybody else's stays."""

    def step() -> dict[str, Any]:
        desk = locks(opts)
        if opts.get("test"):
            return {"comment": f"{name} would be unlocked"}
        gone = desk.release_run(name)
        return {"comment": f"{name} is unlocked" if gone else f"{name} was not locked by this run"}

    return state(name, step)


def carry_out(estate: Estate, plan: Plan, cloud: Any, progress: Progress) -> dict[str, Any]:
    """Apply a plan and shape what became of it into a state's parts."""
    report = provision.apply(plan, cloud, KINDS, watch=progress.watch, deadlines=estate.deadlines)
    return applied(render.report_data(report), render.data(plan), _comment(report))


def _plan(estate: Estate, cloud: Any, replace: object, prune: bool) -> Plan:
    return provision.plan(estate, cloud, KINDS, replace=words(replace), prune=prune)


def _shown(plan: Plan) -> dict[str, Any]:
    return planned(render.data(plan), render.text(plan, everything=True))


def _held(opts: Mapping[str, Any], name: str, what: str, job: str, lock_wait: float) -> Any:
    return locks(opts).held([name], reason=f"environment.{what} {name}", job=job, wait_s=float(lock_wait))


def _comment(report: Report) -> str:
    """Every resource and what became of it: on a second run, that nothing did."""
    lines = [
        render.progress(outcome)
        if not outcome.ok or outcome.verb.value != "keep"
        else f"  {outcome.key}  {outcome.id}  unchanged"
        for outcome in report.outcomes
    ]
    return "\n".join([*lines, render.report_text(report)])
