"""The operator's commands about backups: pillar in, ports built, one call of the core, an `Answer` out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from saltlick import spec
from saltlick.backup import freshness as judging
from saltlick.backup import lines, restores
from saltlick.backup import verify as verifying
from saltlick.backup.history import History
from saltlick.backup.restores import Target
from saltlick.backup.run import take
from saltlick.backup.stage import Stage, Subject, source
from saltlick.engine.wait import SystemClock
from saltlick.errors import InvalidInput, NotReady, Problem, SaltlickError
from saltlick.lock import Mode
from saltlick.saltside.answer import Answer
from saltlick.saltside.fleet import Patience, SaltFleet
from saltlick.saltside.pillar import names_of, pillar_of
from saltlick.saltside.progress import Progress, telling
from saltlick.saltside.subject import folder, one_name
from saltlick.saltside.typed import typed
from saltlick.saltside.wire import SaltWire
from saltlick.saltside.work import locked_work
from saltlick.spec import backup as spec_of_backups
from saltlick.spec import layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from saltlick.backup.catalogue import Catalogue
    from saltlick.backup.freshness import Verdict

FAILED = SaltlickError.exit_code
MODES = ("full", "incr")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the pillar of one environment says of backups."""

    environment: spec.Environment
    subjects: Mapping[str, Subject]

    def chosen(self, job: str) -> tuple[Subject, ...]:
        """The job of that name; without a name, all."""
        if not job:
            return tuple(self.subjects.values())
        if job not in self.subjects:
            raise InvalidInput(
                [Problem("job", f"there is no job {job}; there is {', '.join(self.subjects)}")], what="arguments"
            )
        return (self.subjects[job],)


def run(
    opts: Mapping[str, Any],
    name: object,
    *,
    job: object = "",
    mode: object = "full",
    lock_wait: object = 0,
    jid: str = "",
    user: str = "",
) -> Answer:
    """Take a backup of one job, or of all one after another; one that fails does not keep the others from theirs."""
    plan = plan_of(opts, name)
    wanted, how = plan.chosen(typed(opts, "job", job)), str(mode or "full")
    if how not in MODES:
        raise InvalidInput([Problem("mode", f"{how} is neither full nor incr")], what="arguments")
    taken, failed, codes = [], {}, []
    with _shared(opts, plan, "backup", jid, user, lock_wait) as told, staged(opts, plan.environment.name, told) as on:
        for subject in wanted:
            try:
                taken.append(take(subject, how, on, who=user))
            except SaltlickError as error:
                failed[subject.name] = str(error)
                codes.append(error.exit_code)
    result: dict[str, Any] = {
        "environment": plan.environment.name,
        "backups": [lines.taken_data(each) for each in taken],
        "failed": failed,
    }
    if failed:
        result["error"] = "; ".join(f"{each}: {error}" for each, error in failed.items())
    return Answer(
        result,
        lambda colour: lines.taken_text(taken, failed, colour),
        max(codes, default=0) and (FAILED if taken else max(codes)),
    )


def list_(opts: Mapping[str, Any], name: object, *, job: object = "") -> Answer:
    """What the stores have."""
    plan = plan_of(opts, name)
    with staged(opts, plan.environment.name) as on:
        found = _catalogues(plan.chosen(typed(opts, "job", job)), on)
    jobs = {
        each: {"error": told}
        if isinstance(told, str)
        else {
            "backups": [lines.backup_data(one) for one in told.backups],
            "unfinished": list(told.unfinished),
            "unreadable": list(told.unreadable),
        }
        for each, told in found.items()
    }
    code = FAILED if any(isinstance(told, str) for told in found.values()) else 0
    return Answer(
        {"environment": plan.environment.name, "jobs": jobs}, lambda colour: lines.listed_text(found, colour), code
    )


def verify(
    opts: Mapping[str, Any],
    name: object,
    *,
    job: object = "",
    backup: object = "latest",
    lock_wait: object = 0,
    jid: str = "",
    user: str = "",
) -> Answer:
    """Compare what is in the stores with its manifests, every byte."""
    plan, which = plan_of(opts, name), typed(opts, "backup", backup) or "latest"
    found = {}
    with (
        _shared(opts, plan, "verification of backups", jid, user, lock_wait) as told,
        staged(opts, plan.environment.name, told) as on,
    ):
        for subject in plan.chosen(typed(opts, "job", job)):
            found[subject.name] = verifying.verify(subject, which, on, who=user)
    bad = {each: one.problems for each, all_ in found.items() for one in all_ if one.problems}
    result: dict[str, Any] = {
        "environment": plan.environment.name,
        "jobs": {
            each: [{"id": one.backup, "problems": list(one.problems)} for one in all_] for each, all_ in found.items()
        },
    }
    if bad:
        result["error"] = "; ".join(f"{each}: {', '.join(problems)}" for each, problems in bad.items())
    return Answer(result, lambda colour: lines.verified_text(found, colour), FAILED if bad else 0)


def freshness(opts: Mapping[str, Any], name: object, *, job: object = "", jid: str = "") -> Answer:
    """Whether every job is what the pillar promises. Red ones are told on the bus, too."""
    plan = plan_of(opts, name)
    with Progress(opts, jid) as told, staged(opts, plan.environment.name, told) as on:
        verdicts = fresh(plan.chosen(typed(opts, "job", job)), on)
        red = [each for each in verdicts if not each.fresh]
        for each in red:
            told.step(plan.environment.name, f"backup/{each.job}/red", **lines.verdict_data(each))
    result: dict[str, Any] = {
        "environment": plan.environment.name,
        "jobs": {each.job: lines.verdict_data(each) for each in verdicts},
    }
    if red:
        result["error"] = "; ".join(f"{each.job}: {reason}" for each in red for reason in each.reasons)
    return Answer(result, lambda colour: lines.verdicts_text(verdicts, colour), FAILED if red else 0)


def fresh(subjects: Sequence[Subject], on: Stage) -> tuple[Verdict, ...]:
    """The verdicts on these jobs; a store that cannot be seen is a verdict, too."""
    seen, now = _catalogues(subjects, on), on.today()
    return tuple(
        judging.judge(each.name, each.job, seen[each.name], on.history.of(each.environment, each.name), now)
        for each in subjects
    )


def restore(
    opts: Mapping[str, Any],
    name: object,
    *,
    job: object = "",
    to: object = "",
    server: object = "",
    time: object = "",
    confirm: object = "",
    overwrite_production: object = "",
    lock_wait: object = 0,
    jid: str = "",
    user: str = "",
) -> Answer:
    """Restore a job's data, here or in another environment, to a moment or to all there is."""
    plan = plan_of(opts, name)
    (subject,) = _one(plan.chosen(typed(opts, "job", job)), "job")
    moment = _moment(typed(opts, "time", time))
    goal = (
        spec.parse(pillar_of(opts, to_name), environment=to_name)
        if (to_name := typed(opts, "to", to))
        else plan.environment
    )
    words = str(overwrite_production or "")
    target = _target(subject, goal, plan, typed(opts, "server", server), words)
    _agreed(goal, str(confirm or ""), words)
    names = sorted({goal.name, plan.environment.name})
    how: dict[str, Any] = {
        "reason": f"restore of {subject.name} of {plan.environment.name}",
        "job": jid,
        "user": user,
        "lock_wait": lock_wait,
    }
    with locked_work(opts, names, **how) as told, staged(opts, plan.environment.name, told) as on:
        _last_words(subject, target, moment, on, told, user)
        done = restores.restore(subject, target, on, moment=moment, who=user)
    return Answer({"environment": goal.name, **lines.restored_data(done)}, lines.restored_text(done, "restored"))


def drill(
    opts: Mapping[str, Any], name: object, *, job: object = "", lock_wait: object = 0, jid: str = "", user: str = ""
) -> Answer:
    """Rehearse the restore of one job, or of all that have a drill."""
    plan = plan_of(opts, name)
    wanted = [each for each in plan.chosen(typed(opts, "job", job)) if each.job.drill or job]
    if not wanted:
        raise InvalidInput(
            [Problem("backup.jobs", f"no job of {plan.environment.name} has a drill")],
            what=f"pillar of {plan.environment.name}",
        )
    done, failed = {}, {}
    for subject in wanted:
        goal, target = _rehearsal(opts, subject)
        how: dict[str, Any] = {"reason": f"drill of {subject.name}", "job": jid, "user": user, "lock_wait": lock_wait}
        try:
            with (
                locked_work(opts, [goal.name], **how, mode=Mode.SHARED) as told,
                staged(opts, plan.environment.name, told) as on,
            ):
                done[subject.name] = restores.drill(subject, target, on, who=user)
        except SaltlickError as error:
            failed[subject.name] = str(error)
    result: dict[str, Any] = {
        "environment": plan.environment.name,
        "drills": {each: lines.restored_data(one) for each, one in done.items()},
    }
    if failed:
        result["error"] = "; ".join(f"{each}: {error}" for each, error in failed.items())
    texts = [lines.restored_text(one, f"{each}: rehearsed") for each, one in done.items()]
    return Answer(
        result, "\n".join([*texts, *(f"{each}: {error}" for each, error in failed.items())]), FAILED if failed else 0
    )


def _rehearsal(opts: Mapping[str, Any], subject: Subject) -> tuple[spec.Environment, Target]:
    """Where a job's restore is rehearsed.

    Raises: InvalidInput where the pillar does not say, for an environment that is marked production, or that has no such servers.
    """
    where, drill_ = f"backup.jobs.{subject.name}.drill", subject.job.drill
    if drill_ is None:
        raise InvalidInput([Problem(where, "is not there")], what=f"pillar of {subject.environment}")
    goal = spec.parse(pillar_of(opts, drill_.environment), environment=drill_.environment)
    if goal.production:
        said = f"{goal.name} is marked production: rehearse elsewhere"
        raise InvalidInput([Problem(f"{where}.environment", said)], what="backup.drill")
    if drill_.servers not in goal.servers:
        said = f"{goal.name} has no server group {drill_.servers}; there is {', '.join(goal.servers)}"
        raise InvalidInput([Problem(f"{where}.servers", said)], what="backup.drill")
    servers = tuple(layout.server_names(goal, drill_.servers))
    return goal, Target(environment=goal.name, servers=servers, store=drill_.store)


def _last_words(
    subject: Subject, target: Target, moment: datetime | None, on: Stage, told: Progress, user: str
) -> None:
    """What was written since the last backup, if the moment lies after it and any server is left to tell."""
    there = on.catalogue(target.server or target.servers[0], target.store, subject.name).backups
    if moment is not None and any(backup.reaches >= moment for backup in there):
        return
    try:
        take(subject, "incr", on, who=user)
    except SaltlickError as error:
        told.line(f"{subject.name}: nothing newer than what the store has can be had: {error}")


def _target(subject: Subject, goal: spec.Environment, plan: Plan, server: str, production: str) -> Target:
    group, store = subject.job.servers, subject.job.store
    if goal.name != plan.environment.name:
        if subject.job.drill is None or subject.job.drill.environment != goal.name:
            said = f"say under `drill` which servers and store of {goal.name} it goes to"
            raise InvalidInput([Problem(f"backup.jobs.{subject.name}.drill", said)], what="backup.restore")
        group, store = subject.job.drill.servers, subject.job.drill.store
    servers = layout.server_names(goal, group) if group in goal.servers else ()
    if server and server not in servers:
        raise InvalidInput([Problem("server", f"{server} is not one of {', '.join(servers)}")], what="arguments")
    return Target(environment=goal.name, servers=tuple(servers), store=store, server=server, production=production)


def _agreed(goal: spec.Environment, confirm: str, production: str) -> None:
    """Raises: InvalidInput unless the operator said that this environment's data is to be overwritten."""
    wanted = f"yes, overwrite {goal.name}"
    problems = []
    if confirm != goal.name:
        problems.append(Problem("confirm", f"this overwrites data of {goal.name}; to do so, add confirm={goal.name}"))
    if goal.production and production != wanted:
        problems.append(
            Problem(
                "overwrite_production",
                f"{goal.name} is marked production; to overwrite it, add overwrite_production='{wanted}'",
            )
        )
    if problems:
        raise InvalidInput(problems, what="backup.restore")


def _one(found: Sequence[Subject], argument: str) -> Sequence[Subject]:
    if len(found) != 1:
        said = f"say which: {argument}= one of {', '.join(each.name for each in found)}"
        raise InvalidInput([Problem(argument, said)], what="arguments")
    return found


def _moment(text: str) -> datetime | None:
    """A moment as typed: ISO 8601, UTC unless it says otherwise."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise InvalidInput(
            [Problem("time", f"{text} is not a moment (write it like 2026-11-23T02:00:00Z)")], what="arguments"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _catalogues(subjects: Sequence[Subject], on: Stage) -> dict[str, Catalogue | str]:
    found: dict[str, Catalogue | str] = {}
    for subject in subjects:
        try:
            found[subject.name] = on.catalogue(source(subject, on), subject.job.store, subject.name)
        except SaltlickError as error:
            found[subject.name] = str(error)
    return found


def plan_of(opts: Mapping[str, Any], name: object) -> Plan:
    """What the pillar says.

    Raises: InvalidInput with every problem.
    """
    one = one_name(opts, name)
    pillar = pillar_of(opts, one)
    declared = spec.parse(pillar, environment=one)
    backups = spec_of_backups.parse(pillar, declared)
    return Plan(
        environment=declared,
        subjects={
            job: Subject(
                environment=one, name=job, job=told, servers=tuple(layout.server_names(declared, told.servers))
            )
            for job, told in backups.jobs.items()
        },
    )


@contextlib.contextmanager
def _shared(
    opts: Mapping[str, Any], plan: Plan, reason: str, jid: str, user: str, lock_wait: object
) -> Iterator[Progress]:
    with locked_work(
        opts, [plan.environment.name], reason=reason, job=jid, user=user, lock_wait=lock_wait, mode=Mode.SHARED
    ) as told:
        yield told


@contextlib.contextmanager
def staged(opts: Mapping[str, Any], environment: str, told: Progress | None = None) -> Iterator[Stage]:
    """The ports of one command.

    Raises: NotReady where no master runs.
    """
    if not telling(opts):
        raise NotReady(f"no salt-master runs here (nothing answers in {opts['sock_dir']}): nothing was touched")
    clock, wire = SystemClock(), SaltWire(opts)
    history = History(folder(opts) / "backups.sqlite")

    def tell(line: str, event: Mapping[str, Any]) -> None:
        if told and line:
            told.line(line)
        if told and event:
            content = {key: value for key, value in event.items() if key not in {"job", "step"}}
            told.step(environment, f"backup/{event['job']}/{event['step']}", **content)

    try:
        yield Stage(
            fleet=SaltFleet(wire=wire, clock=clock, patience=Patience.of(opts)), clock=clock, history=history, tell=tell
        )
    finally:
        history.close()
        wire.close()


def known_jobs(opts: Mapping[str, Any], name: object) -> Mapping[str, Subject]:
    """The jobs of one environment, by name. Raises: InvalidInput."""
    names_of(opts, name)
    return plan_of(opts, name).subjects
