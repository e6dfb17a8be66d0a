"""The operator's commands about backups: pillar in, ports built, one call of the core, an `Answer` out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from saltlick.backup import freshness as judging
from saltlick.backup import report, restores
from saltlick.backup import verify as verifying
from saltlick.backup.context import BackupContext, BackupJob, source
from saltlick.backup.history import History
from saltlick.backup.pillar import parse_backups
from saltlick.backup.restores import RestoreTarget
from saltlick.backup.run import take
from saltlick.commands.arguments import text_argument
from saltlick.commands.job import locked_work
from saltlick.commands.release.context import single_environment, state_folder
from saltlick.commands.result import CommandResult
from saltlick.engine.wait import SystemClock
from saltlick.environment.pillar import Environment, layout, parse_environment
from saltlick.errors import InvalidInput, NotReady, Problem, SaltlickError
from saltlick.jobs.holder import Mode
from saltlick.salt_io.client import SaltClient
from saltlick.salt_io.fleet import FleetTimeouts, SaltFleet
from saltlick.salt_io.pillar import environment_names, pillar_of
from saltlick.salt_io.progress import Progress, master_publishes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from saltlick.backup.catalogue import Catalogue
    from saltlick.backup.freshness import FreshnessResult

FAILED = SaltlickError.exit_code
MODES = ("full", "incr")


@dataclass(frozen=True, kw_only=True)
class BackupPlan:
    """What the pillar of one environment says of backups."""

    environment: Environment
    subjects: Mapping[str, BackupJob]

    def chosen(self, job: str) -> tuple[BackupJob, ...]:
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
) -> CommandResult:
    """Take a backup of one job, or of all one after another; one that fails does not keep the others from theirs."""
    plan = declared_backups(opts, name)
    wanted, how = plan.chosen(text_argument(opts, "job", job)), str(mode or "full")
    if how not in MODES:
        raise InvalidInput([Problem("mode", f"{how} is neither full nor incr")], what="arguments")
    taken, failed, codes = [], {}, []
    with (
        _shared(opts, plan, "backup", jid, user, lock_wait) as told,
        backup_context(opts, plan.environment.name, told) as on,
    ):
        for subject in wanted:
            try:
                taken.append(take(subject, how, on, who=user))
            except SaltlickError as error:
                failed[subject.name] = str(error)
                codes.append(error.exit_code)
    result: dict[str, Any] = {
        "environment": plan.environment.name,
        "backups": [report.taken_data(each) for each in taken],
        "failed": failed,
    }
    if failed:
        result["error"] = "; ".join(f"{each}: {error}" for each, error in failed.items())
    return CommandResult(
        result,
        lambda colour: report.taken_text(taken, failed, colour),
        max(codes, default=0) and (FAILED if taken else max(codes)),
    )


def list_(opts: Mapping[str, Any], name: object, *, job: object = "") -> CommandResult:
    """What the stores have."""
    plan = declared_backups(opts, name)
    with backup_context(opts, plan.environment.name) as on:
        found = _catalogues(plan.chosen(text_argument(opts, "job", job)), on)
    jobs = {
        each: {"error": told}
        if isinstance(told, str)
        else {
            "backups": [report.backup_data(one) for one in told.backups],
            "unfinished": list(told.unfinished),
            "unreadable": list(told.unreadable),
        }
        for each, told in found.items()
    }
    code = FAILED if any(isinstance(told, str) for told in found.values()) else 0
    return CommandResult(
        {"environment": plan.environment.name, "jobs": jobs}, lambda colour: report.listed_text(found, colour), code
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
) -> CommandResult:
    """Compare what is in the stores with its manifests, every byte."""
    plan, which = declared_backups(opts, name), text_argument(opts, "backup", backup) or "latest"
    found = {}
    with (
        _shared(opts, plan, "verification of backups", jid, user, lock_wait) as told,
        backup_context(opts, plan.environment.name, told) as on,
    ):
        for subject in plan.chosen(text_argument(opts, "job", job)):
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
    return CommandResult(result, lambda colour: report.verified_text(found, colour), FAILED if bad else 0)


def freshness(opts: Mapping[str, Any], name: object, *, job: object = "", jid: str = "") -> CommandResult:
    """Whether every job is what the pillar promises. Red ones are told on the bus, too."""
    plan = declared_backups(opts, name)
    with Progress(opts, jid) as told, backup_context(opts, plan.environment.name, told) as on:
        verdicts = fresh(plan.chosen(text_argument(opts, "job", job)), on)
        red = [each for each in verdicts if not each.fresh]
        for each in red:
            told.step(plan.environment.name, f"backup/{each.job}/red", **report.verdict_data(each))
    result: dict[str, Any] = {
        "environment": plan.environment.name,
        "jobs": {each.job: report.verdict_data(each) for each in verdicts},
    }
    if red:
        result["error"] = "; ".join(f"{each.job}: {reason}" for each in red for reason in each.reasons)
    return CommandResult(result, lambda colour: report.verdicts_text(verdicts, colour), FAILED if red else 0)


def fresh(subjects: Sequence[BackupJob], on: BackupContext) -> tuple[FreshnessResult, ...]:
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
) -> CommandResult:
    """Restore a job's data, here or in another environment, to a moment or to all there is."""
    plan = declared_backups(opts, name)
    (subject,) = _one(plan.chosen(text_argument(opts, "job", job)), "job")
    moment = _moment(text_argument(opts, "time", time))
    goal = (
        parse_environment(pillar_of(opts, to_name), environment=to_name)
        if (to_name := text_argument(opts, "to", to))
        else plan.environment
    )
    words = str(overwrite_production or "")
    target = _target(subject, goal, plan, text_argument(opts, "server", server), words)
    _agreed(goal, str(confirm or ""), words)
    names = sorted({goal.name, plan.environment.name})
    how: dict[str, Any] = {
        "reason": f"restore of {subject.name} of {plan.environment.name}",
        "job": jid,
        "user": user,
        "lock_wait": lock_wait,
    }
    with locked_work(opts, names, **how) as told, backup_context(opts, plan.environment.name, told) as on:
        _last_words(subject, target, moment, on, told, user)
        done = restores.restore(subject, target, on, moment=moment, who=user)
    return CommandResult(
        {"environment": goal.name, **report.restored_data(done)}, report.restored_text(done, "restored")
    )


def drill(
    opts: Mapping[str, Any], name: object, *, job: object = "", lock_wait: object = 0, jid: str = "", user: str = ""
) -> CommandResult:
    """Rehearse the restore of one job, or of all that have a drill."""
    plan = declared_backups(opts, name)
    wanted = [each for each in plan.chosen(text_argument(opts, "job", job)) if each.job.drill or job]
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
                backup_context(opts, plan.environment.name, told) as on,
            ):
                done[subject.name] = restores.drill(subject, target, on, who=user)
        except SaltlickError as error:
            failed[subject.name] = str(error)
    result: dict[str, Any] = {
        "environment": plan.environment.name,
        "drills": {each: report.restored_data(one) for each, one in done.items()},
    }
    if failed:
        result["error"] = "; ".join(f"{each}: {error}" for each, error in failed.items())
    texts = [report.restored_text(one, f"{each}: rehearsed") for each, one in done.items()]
    return CommandResult(
        result, "\n".join([*texts, *(f"{each}: {error}" for each, error in failed.items())]), FAILED if failed else 0
    )


def _rehearsal(opts: Mapping[str, Any], subject: BackupJob) -> tuple[Environment, RestoreTarget]:
    """Where a job's restore is rehearsed.

    Raises: InvalidInput where the pillar does not say, for an environment that is marked production, or that has no such servers.
    """
    where, drill_ = f"backup.jobs.{subject.name}.drill", subject.job.drill
    if drill_ is None:
        raise InvalidInput([Problem(where, "is not there")], what=f"pillar of {subject.environment}")
    goal = parse_environment(pillar_of(opts, drill_.environment), environment=drill_.environment)
    if goal.production:
        said = f"{goal.name} is marked production: rehearse elsewhere"
        raise InvalidInput([Problem(f"{where}.environment", said)], what="backup.drill")
    if drill_.servers not in goal.servers:
        said = f"{goal.name} has no server group {drill_.servers}; there is {', '.join(goal.servers)}"
        raise InvalidInput([Problem(f"{where}.servers", said)], what="backup.drill")
    servers = tuple(layout.server_names(goal, drill_.servers))
    return goal, RestoreTarget(environment=goal.name, servers=servers, store=drill_.store)


def _last_words(
    subject: BackupJob, target: RestoreTarget, moment: datetime | None, on: BackupContext, told: Progress, user: str
) -> None:
    """What was written since the last backup, if the moment lies after it and any server is left to tell."""
    there = on.catalogue(target.server or target.servers[0], target.store, subject.name).backups
    if moment is not None and any(backup.reaches >= moment for backup in there):
        return
    try:
        take(subject, "incr", on, who=user)
    except SaltlickError as error:
        told.line(f"{subject.name}: nothing newer than what the store has can be had: {error}")


def _target(subject: BackupJob, goal: Environment, plan: BackupPlan, server: str, production: str) -> RestoreTarget:
    group, store = subject.job.servers, subject.job.store
    if goal.name != plan.environment.name:
        if subject.job.drill is None or subject.job.drill.environment != goal.name:
            said = f"say under `drill` which servers and store of {goal.name} it goes to"
            raise InvalidInput([Problem(f"backup.jobs.{subject.name}.drill", said)], what="backup.restore")
        group, store = subject.job.drill.servers, subject.job.drill.store
    servers = layout.server_names(goal, group) if group in goal.servers else ()
    if server and server not in servers:
        raise InvalidInput([Problem("server", f"{server} is not one of {', '.join(servers)}")], what="arguments")
    return RestoreTarget(
        environment=goal.name, servers=tuple(servers), store=store, server=server, production=production
    )


def _agreed(goal: Environment, confirm: str, production: str) -> None:
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


def _one(found: Sequence[BackupJob], argument: str) -> Sequence[BackupJob]:
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


def _catalogues(subjects: Sequence[BackupJob], on: BackupContext) -> dict[str, Catalogue | str]:
    found: dict[str, Catalogue | str] = {}
    for subject in subjects:
        try:
            found[subject.name] = on.catalogue(source(subject, on), subject.job.store, subject.name)
        except SaltlickError as error:
            found[subject.name] = str(error)
    return found


def declared_backups(opts: Mapping[str, Any], name: object) -> BackupPlan:
    """What the pillar says.

    Raises: InvalidInput with every problem.
    """
    one = single_environment(opts, name)
    pillar = pillar_of(opts, one)
    declared = parse_environment(pillar, environment=one)
    backups = parse_backups(pillar, declared)
    return BackupPlan(
        environment=declared,
        subjects={
            job: BackupJob(
                environment=one, name=job, job=told, servers=tuple(layout.server_names(declared, told.servers))
            )
            for job, told in backups.jobs.items()
        },
    )


@contextlib.contextmanager
def _shared(
    opts: Mapping[str, Any], plan: BackupPlan, reason: str, jid: str, user: str, lock_wait: object
) -> Iterator[Progress]:
    with locked_work(
        opts, [plan.environment.name], reason=reason, job=jid, user=user, lock_wait=lock_wait, mode=Mode.SHARED
    ) as told:
        yield told


@contextlib.contextmanager
def backup_context(opts: Mapping[str, Any], environment: str, told: Progress | None = None) -> Iterator[BackupContext]:
    """The ports of one command.

    Raises: NotReady where no master runs.
    """
    if not master_publishes(opts):
        raise NotReady(f"no salt-master runs here (nothing answers in {opts['sock_dir']}): nothing was touched")
    clock, wire = SystemClock(), SaltClient(opts)
    history = History(state_folder(opts) / "backups.sqlite")

    def tell(line: str, event: Mapping[str, Any]) -> None:
        if told and line:
            told.line(line)
        if told and event:
            content = {key: value for key, value in event.items() if key not in {"job", "step"}}
            told.step(environment, f"backup/{event['job']}/{event['step']}", **content)

    try:
        yield BackupContext(
            fleet=SaltFleet(wire=wire, clock=clock, patience=FleetTimeouts.of(opts)),
            clock=clock,
            history=history,
            tell=tell,
        )
    finally:
        history.close()
        wire.close()


def known_jobs(opts: Mapping[str, Any], name: object) -> Mapping[str, BackupJob]:
    """The jobs of one environment, by name. Raises: InvalidInput."""
    environment_names(opts, name)
    return declared_backups(opts, name).subjects
