"""The operator's commands that change what servers run: pillar in, ports built, one call of the core, an `Answer` out."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from saltlick.commands.arguments import flag_argument, text_argument
from saltlick.commands.environment.commands import split_list
from saltlick.commands.release.context import (
    ReleaseTarget,
    open_journal,
    release_context,
    release_target,
    single_environment,
)
from saltlick.commands.release.job import Caller, Work, run_release, unfinished_release
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Problem
from saltlick.release import rollout
from saltlick.release.context import ReleaseRequest
from saltlick.release.journal.record import ReleaseRecord
from saltlick.release.pillar import Overrides, restore_recipe
from saltlick.release.report import lines
from saltlick.release.resume import resume as take_up
from saltlick.release.resume import rollback as roll_back
from saltlick.release.resume import rollback_to

if TYPE_CHECKING:
    from collections.abc import Mapping


def rolling(
    opts: Mapping[str, Any],
    name: object,
    *,
    rev: object = "",
    batch: object = None,
    canary: object = None,
    group: object = None,
    pause: object = None,
    message: object = "",
    force: object = "",
    test: object = False,
    lock_wait: object = 0,
    job: str = "",
    user: str = "",
) -> CommandResult:
    """Put a revision onto every server; `test`: say what that would be."""
    rev = text_argument(opts, "rev", rev)
    if not rev:
        raise InvalidInput([Problem("rev", "say which revision: rev=, a branch, a tag or a SHA")], what="arguments")
    asking = Caller(job=job, user=user, lock_wait=lock_wait)
    subject = release_target(opts, name, Overrides(batch=batch, canary=canary, group=group, pause=_pause(pause)))
    asked = _asked(subject, asking, rev=rev, message=message, force=force)
    if flag_argument("test", test):
        return _plan(opts, subject, asked)
    return run_release(opts, Work.of(subject, asked), asking, lambda on: rollout.release(subject.recipe, asked, on))


def plan(
    opts: Mapping[str, Any],
    name: object,
    *,
    rev: object = "",
    batch: object = None,
    canary: object = None,
    group: object = None,
    pause: object = None,
    force: object = "",
    job: str = "",
    user: str = "",
) -> CommandResult:
    """What `rolling` would do now, and what stands against it."""
    how = {"batch": batch, "canary": canary, "group": group, "pause": pause, "force": force}
    return rolling(opts, name, rev=rev, **how, test=True, job=job, user=user)


def rollback(
    opts: Mapping[str, Any],
    name: object,
    *,
    to: object = "",
    batch: object = None,
    message: object = "",
    force: object = "",
    test: object = False,
    lock_wait: object = 0,
    job: str = "",
    user: str = "",
) -> CommandResult:
    """Put an earlier revision onto every server: the last good different one, or `to`. What is half done goes back first."""
    to = text_argument(opts, "to", to)
    asking = Caller(job=job, user=user, lock_wait=lock_wait)
    dry = flag_argument("test", test)
    if not (to or dry) and (left := unfinished_release(opts, single_environment(opts, name))):
        return _resumed(opts, left, asking, back=True)
    subject = release_target(opts, name, Overrides(batch=batch))
    asked = replace(_asked(subject, asking, rev=to, message=message, force=force), rollback=True)
    if dry:
        return _plan(opts, subject, asked)
    return run_release(opts, Work.of(subject, asked), asking, lambda on: roll_back(subject.recipe, asked, on))


def resume(
    opts: Mapping[str, Any], name: object, *, release: object = "", lock_wait: object = 0, job: str = "", user: str = ""
) -> CommandResult:
    """Take up a release whose process died, or that was stuck."""
    environment, wanted = single_environment(opts, name), text_argument(opts, "release", release)
    left = unfinished_release(opts, environment)
    if left is None or (wanted and left.id != wanted):
        said = f"{wanted} is not half done" if wanted else f"no release of {environment} is half done"
        raise InvalidInput([f"{said}{f'; {left.id} is' if left else ''}"], what="release.resume")
    return _resumed(opts, left, Caller(job=job, user=user, lock_wait=lock_wait), back=False)


def _resumed(opts: Mapping[str, Any], left: ReleaseRecord, asking: Caller, *, back: bool) -> CommandResult:
    with open_journal(opts) as journal:
        recipe = restore_recipe(journal.recipe(left.id))
    what = f"{'rollback' if back else 'resume'} of {left.id}"
    work = Work(environment=left.environment, recipe=recipe, reason=what, succeeds=left)
    return run_release(opts, work, asking, lambda on: take_up(left.id, on, who=asking.who, back=back))


def _asked(subject: ReleaseTarget, asking: Caller, *, rev: str, message: object, force: object) -> ReleaseRequest:
    return ReleaseRequest(
        environment=subject.environment.name,
        servers=subject.servers,
        rev=rev,
        who=asking.who,
        host=socket.gethostname(),
        job=asking.job,
        message=str(message or ""),
        force=frozenset(split_list(force if force is not False else "")),
    )


def _pause(value: object) -> object:
    """`pause=no` is what YAML makes of it."""
    return "none" if value is False else value


def _plan(opts: Mapping[str, Any], subject: ReleaseTarget, asked: ReleaseRequest) -> CommandResult:
    with release_context(opts, asked.environment, subject.recipe, environment=subject.environment) as on:
        asked = rollback_to(subject.recipe, asked, on) if asked.rollback else asked
        made = rollout.plan(subject.recipe, asked, on)
    record, notes = made.as_record(asked), [str(finding) for finding in made.findings]
    told = {
        **lines.plan_data(record, floor=made.floor, notes=notes),
        "refused": made.refused,
        "unchanged": made.unchanged,
    }
    told |= {"already": list(made.already), "left": list(made.left)}
    return CommandResult(told, lambda colour: lines.plan(record, colour=colour, floor=made.floor, notes=notes))
