"""The operator's commands that change what servers run: one typed request in, one call of the core, a `CommandResult` out."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator

from saltlick.commands.arguments import Flag, Remark, Request, Text, WaitSeconds, Words
from saltlick.commands.context import single_environment
from saltlick.commands.release.context import ReleaseTarget, open_journal, release_context, release_target
from saltlick.commands.release.job import ReleaseJob, run_release, unfinished_release
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Problem
from saltlick.release import rollout
from saltlick.release.context import ReleaseRequest
from saltlick.release.journal.left_behind import left_behind, to_resume
from saltlick.release.journal.record import ReleaseRecord
from saltlick.release.pillar import Overrides, restore_recipe
from saltlick.release.report import lines, wording
from saltlick.release.resume import resume as resume_release
from saltlick.release.resume import rollback as rollback_release
from saltlick.release.resume import rollback_to

Pause = Annotated[Any, BeforeValidator(lambda value: "none" if value is False else value)]
"""`pause=no` is false in YAML."""


class ReleasePlanRequest(Request):
    """Which revision goes onto which servers, and what is overridden. Batches and pauses are checked with the recipe."""

    rev: Text = ""
    batch: Any = None
    canary: Any = None
    group: Any = None
    pause: Pause = None
    force: Words = ()

    @property
    def overrides(self) -> Overrides:
        """What replaces the recipe's own strategy."""
        return Overrides(batch=self.batch, canary=self.canary, group=self.group, pause=self.pause)


class RollingRequest(ReleasePlanRequest):
    """A release."""

    message: Remark = ""
    test: Flag = False
    lock_wait: WaitSeconds = 0


class RollbackRequest(Request):
    """A release of an earlier revision: `to`, or the last good one."""

    to: Text = ""
    batch: Any = None
    message: Remark = ""
    force: Words = ()
    test: Flag = False
    lock_wait: WaitSeconds = 0


class ResumeRequest(Request):
    """A release that is half done: `release`, or the environment's only one."""

    release: Text = ""
    lock_wait: WaitSeconds = 0


def plan(opts: Mapping[str, Any], request: ReleasePlanRequest) -> CommandResult:
    """What `rolling` would do now, and what stands against it."""
    return _planned(opts, *_target(opts, request))


def rolling(opts: Mapping[str, Any], request: RollingRequest) -> CommandResult:
    """Put a revision onto every server; with `test`, show the plan."""
    target, asked = _target(opts, request)
    asked = replace(asked, message=request.message)
    if request.test:
        return _planned(opts, target, asked)
    job = ReleaseJob.new(target, asked)
    return run_release(
        opts,
        job,
        job.request(request.caller, request.lock_wait),
        lambda context: rollout.release(target.recipe, asked, context),
    )


def rollback(opts: Mapping[str, Any], request: RollbackRequest) -> CommandResult:
    """Put an earlier revision onto every server: the last good different one, or `to`. A half-done release goes back first."""
    if not (request.to or request.test):
        unfinished = unfinished_release(opts, single_environment(opts, request.name))
        if unfinished:
            return _continued(opts, unfinished, request, back=True)
    target = release_target(opts, request.name, Overrides(batch=request.batch))
    asked = _release_request(target, request, rev=request.to, force=request.force)
    asked = replace(asked, message=request.message, rollback=True)
    if request.test:
        return _planned(opts, target, asked)
    job = ReleaseJob.new(target, asked)
    return run_release(
        opts,
        job,
        job.request(request.caller, request.lock_wait),
        lambda context: rollback_release(target.recipe, asked, context),
    )


def resume(opts: Mapping[str, Any], request: ResumeRequest) -> CommandResult:
    """Continue a release whose process died, that was stuck, or that went back without some of its servers."""
    environment = single_environment(opts, request.name)
    with open_journal(opts) as journal:
        history = journal.history(environment)
    there = to_resume(history)
    if there is None or (request.release and there.id != request.release):
        raise InvalidInput([_nothing_to_resume(environment, request.release, there, history)], what="release.resume")
    return _continued(opts, there, request, back=False)


def _nothing_to_resume(
    environment: str, release: str, there: ReleaseRecord | None, history: Sequence[ReleaseRecord]
) -> str:
    what = f"{release} is not half done" if release else f"no release of {environment} is half done"
    if there:
        return f"{what}; {there.id} is"
    behind = left_behind(history)
    if not behind:
        return what
    names, sha = wording.names(list(behind), all_of_them=True), wording.short(next(iter(behind.values())).sha)
    return f"{what}; a release brings {names} back: salt-run release.rolling {environment} rev={sha}"


def _continued(
    opts: Mapping[str, Any], unfinished: ReleaseRecord, request: ResumeRequest | RollbackRequest, *, back: bool
) -> CommandResult:
    with open_journal(opts) as journal:
        recipe = restore_recipe(journal.recipe(unfinished.id))
    action = "rollback" if back else "resume"
    job = ReleaseJob(
        environment=unfinished.environment,
        recipe=recipe,
        action=action,
        reason=f"{action} of {unfinished.id}",
        continues=unfinished,
    )
    return run_release(
        opts,
        job,
        job.request(request.caller, request.lock_wait),
        lambda context: resume_release(unfinished.id, context, who=request.caller.user, back=back),
    )


def _target(opts: Mapping[str, Any], request: ReleasePlanRequest) -> tuple[ReleaseTarget, ReleaseRequest]:
    if not request.rev:
        raise InvalidInput([Problem("rev", "say which revision: rev=, a branch, a tag or a SHA")], what="arguments")
    target = release_target(opts, request.name, request.overrides)
    return target, _release_request(target, request, rev=request.rev, force=request.force)


def _release_request(target: ReleaseTarget, request: Request, *, rev: str, force: tuple[str, ...]) -> ReleaseRequest:
    return ReleaseRequest(
        environment=target.environment.name,
        servers=target.servers,
        rev=rev,
        who=request.caller.user,
        host=socket.gethostname(),
        job=request.caller.job_id,
        force=frozenset(force),
    )


def _planned(opts: Mapping[str, Any], target: ReleaseTarget, request: ReleaseRequest) -> CommandResult:
    with release_context(opts, request.environment, target.recipe, environment=target.environment) as context:
        request = rollback_to(target.recipe, request, context) if request.rollback else request
        planned = rollout.plan(target.recipe, request, context)
    record, notes = planned.as_record(request), [str(finding) for finding in planned.findings]
    result = {
        **lines.plan_data(record, floor=planned.floor, notes=notes),
        "refused": planned.refused,
        "unchanged": planned.unchanged,
        "already": list(planned.already),
        "left": list(planned.left),
    }
    return CommandResult(result, lambda colour: lines.plan(record, colour=colour, floor=planned.floor, notes=notes))
