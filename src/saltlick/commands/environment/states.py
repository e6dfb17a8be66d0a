"""Whole environments as states: `environment.present` and its siblings, as an orchestration uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.commands.announce import Declared, announce, declared_notify
from saltlick.commands.arguments import Request, WaitSeconds, Words
from saltlick.commands.environment.admission import forget_stale_keys, release_instances
from saltlick.commands.environment.commands import ApplyRequest, DestroyRequest, job_request
from saltlick.commands.environment.estate import load
from saltlick.commands.job import environment_locks, job_progress, open_store, running_job
from saltlick.commands.state import applied, planned, state
from saltlick.engine import render
from saltlick.engine.plan import Verb
from saltlick.environment import provision
from saltlick.jobs.history import JobEntry, JobHistory
from saltlick.jobs.holder import Mode
from saltlick.kinds import KINDS
from saltlick.notify.condition import Feature
from saltlick.notify.jobs import failed, green
from saltlick.salt_io.pillar import require_pillarenv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from saltlick.engine.apply import Outcome, Report
    from saltlick.engine.plan import Plan
    from saltlick.engine.ports import Cloud
    from saltlick.environment.provision import Estate
    from saltlick.jobs.request import Caller
    from saltlick.jobs.running import RunningJob
    from saltlick.notify.condition import Condition


class LockedRequest(Request):
    """The lock of an orchestration."""

    lock_wait: WaitSeconds = 0


def present(opts: Mapping[str, Any], name: str, caller: Caller, **given: Any) -> dict[str, Any]:
    """Make the environment what its pillar says; with `test=True`, return the plan."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        request = ApplyRequest.read(opts, caller, name, **given)
        if opts.get("test"):
            estate = load(opts, name, builds=True)
            return _shown(_plan(estate, aws.connect(estate.region), request.replace, request.prune))
        with running_job(opts, job_request(request, (name,), "present", request.lock_wait, subject="apply")) as job:
            estate = load(opts, name, builds=True, create_master_key=True)
            cloud = aws.connect(estate.region, notify=job.progress.line)
            plan = _plan(estate, cloud, request.replace, request.prune)
            release_instances(opts, plan)
            return parts(estate, plan, cloud, job)

    return state(name, step)


def absent(opts: Mapping[str, Any], name: str, caller: Caller, **given: Any) -> dict[str, Any]:
    """Delete everything of the environment; with `test=True`, show what that would be."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        request = DestroyRequest.read(opts, caller, name, **given)
        if opts.get("test"):
            estate = load(opts, name)
            cloud = aws.connect(estate.region)
            return _shown(provision.plan_destroy(estate, cloud, KINDS, confirm=request.confirm, keep=request.keep))
        with running_job(opts, job_request(request, (name,), "absent", request.lock_wait, subject="destroy")) as job:
            estate = load(opts, name)
            cloud = aws.connect(estate.region, notify=job.progress.line)
            plan = provision.plan_destroy(estate, cloud, KINDS, confirm=request.confirm, keep=request.keep)
            release_instances(opts, plan)
            deleted = parts(estate, plan, cloud, job)
            forgotten = forget_stale_keys(opts, plan, cloud)
            deleted["changes"] |= {key: {"key": "forgotten", "why": why} for key, why in forgotten.items()}
            return deleted

    return state(name, step)


def locked(opts: Mapping[str, Any], name: str, caller: Caller, *, reason: str, **given: Any) -> dict[str, Any]:
    """Take the environment's lock for the rest of this process; whatever ends the process gives it back."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        request = LockedRequest.read(opts, caller, name, **given)
        locks = environment_locks(opts, caller.user)
        notify = declared_notify(opts, [name])
        if opts.get("test"):
            holder = locks.read(name)
            return {"result": None, "comment": f"{name} is locked by {holder}" if holder else f"{name} would be locked"}
        lease = locks.take(name, reason=reason, job=caller.job_id, mode=Mode.RUN, wait_s=request.lock_wait)
        locks.release_at_exit(lease, then=lambda: _end_orchestration(opts, notify, caller, "failed"))
        _begin_orchestration(opts, name, caller, reason)
        return {"comment": "; ".join(part for part in (f"{name} is locked: {reason}", lease.notice) if part)}

    return state(name, step)


def unlocked(opts: Mapping[str, Any], name: str, caller: Caller) -> dict[str, Any]:
    """Give back the lock that `locked` took in this process; another's stays."""

    def step() -> dict[str, Any]:
        if opts.get("test"):
            return {"comment": f"{name} would be unlocked"}
        released = environment_locks(opts, caller.user).release_run(name)
        if released:
            _end_orchestration(opts, declared_notify(opts, [name]), caller, "done")
        return {"comment": f"{name} is unlocked" if released else f"{name} was not locked by this run"}

    return state(name, step)


def parts(estate: Estate, plan: Plan, cloud: Cloud, job: RunningJob) -> dict[str, Any]:
    """Carry a plan out; the parts of a state's return."""
    report = provision.carry_out(estate, plan, cloud, KINDS, job)
    return applied(render.report_data(report), render.data(plan), _comment(report))


def _begin_orchestration(opts: Mapping[str, Any], name: str, caller: Caller, reason: str) -> None:
    """Its end is recorded by `unlocked`; an orchestration whose process ends before that has failed."""
    with open_store(opts) as store:
        JobHistory(store).begin(
            environment=name,
            feature="environment",
            action="orchestrate",
            detail=reason,
            user=caller.user,
            jid=caller.job_id,
        )


def _end_orchestration(opts: Mapping[str, Any], notify: Declared, caller: Caller, outcome: str) -> None:
    """Record the end, and tell people; nothing where it has ended already."""
    (name,) = notify
    with open_store(opts) as store, job_progress(opts, caller.job_id) as progress:
        history = JobHistory(store)
        if history.end_open(environment=name, action="orchestrate", jid=caller.job_id, outcome=outcome):
            entries = [entry for entry in history.history(name) if entry.jid == caller.job_id]
            orchestration = next(entry for entry in entries if entry.action == "orchestrate")
            parts = [entry for entry in entries if entry is not orchestration]
            announce(opts, store, notify, [_condition(orchestration, parts)], progress.line)


def _condition(orchestration: JobEntry, parts: Sequence[JobEntry]) -> Condition:
    name, what = orchestration.environment, orchestration.detail
    if orchestration.outcome == "done":
        return green(name, Feature.ENVIRONMENT, what)
    known = (
        f"{what} by {orchestration.user} (job {orchestration.jid}) ended before its last step",
        *(f"{part.feature} {part.action}: {part.outcome}: {part.reason}" for part in parts if part.reason),
    )
    unknown = "how far it came: the answer of state.orchestrate names the step that failed"
    return failed(name, Feature.ENVIRONMENT, what, *known, unknown=(unknown,))


def _plan(estate: Estate, cloud: Any, replace: Words, prune: bool) -> Plan:
    return provision.plan(estate, cloud, KINDS, replace=replace, prune=prune)


def _shown(plan: Plan) -> dict[str, Any]:
    return planned(render.data(plan), render.text(plan, everything=True))


def _comment(report: Report) -> str:
    """Every resource and what became of it: on a second run, that nothing did."""
    return "\n".join([*map(_line, report.outcomes), render.report_text(report)])


def _line(outcome: Outcome) -> str:
    if outcome.verb is Verb.KEEP and outcome.ok:
        return f"  {outcome.key}  {outcome.id}  unchanged"
    return render.progress(outcome)
