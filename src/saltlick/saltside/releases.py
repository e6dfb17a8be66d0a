"""The operator's commands that change what servers run: pillar in, ports built, one call of the core, an `Answer` out."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from saltlick.errors import InvalidInput, Problem
from saltlick.release import lines, rollout
from saltlick.release.record import ReleaseRecord
from saltlick.release.resume import resume as take_up
from saltlick.release.resume import rollback as roll_back
from saltlick.release.resume import rollback_to
from saltlick.release.stage import Asked
from saltlick.saltside.answer import Answer
from saltlick.saltside.commands import words
from saltlick.saltside.subject import Subject, journal_of, one_name, staged, subject_of
from saltlick.saltside.typed import flag, typed
from saltlick.saltside.underway import Caller, Work, left_behind, under_way
from saltlick.spec.release import Overrides, restore

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
) -> Answer:
    """Put a revision onto every server; `test`: say what that would be."""
    rev = typed(opts, "rev", rev)
    if not rev:
        raise InvalidInput([Problem("rev", "say which revision: rev=, a branch, a tag or a SHA")], what="arguments")
    asking = Caller(job=job, user=user, lock_wait=lock_wait)
    subject = subject_of(opts, name, Overrides(batch=batch, canary=canary, group=group, pause=_pause(pause)))
    asked = _asked(subject, asking, rev=rev, message=message, force=force)
    if flag("test", test):
        return _plan(opts, subject, asked)
    return under_way(opts, Work.of(subject, asked), asking, lambda on: rollout.release(subject.recipe, asked, on))


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
) -> Answer:
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
) -> Answer:
    """Put an earlier revision onto every server: the last good different one, or `to`. What is half done goes back first."""
    to = typed(opts, "to", to)
    asking = Caller(job=job, user=user, lock_wait=lock_wait)
    dry = flag("test", test)
    if not (to or dry) and (left := left_behind(opts, one_name(opts, name))):
        return _resumed(opts, left, asking, back=True)
    subject = subject_of(opts, name, Overrides(batch=batch))
    asked = replace(_asked(subject, asking, rev=to, message=message, force=force), rollback=True)
    if dry:
        return _plan(opts, subject, asked)
    return under_way(opts, Work.of(subject, asked), asking, lambda on: roll_back(subject.recipe, asked, on))


def resume(
    opts: Mapping[str, Any], name: object, *, release: object = "", lock_wait: object = 0, job: str = "", user: str = ""
) -> Answer:
    """Take up a release whose process died, or that was stuck."""
    environment, wanted = one_name(opts, name), typed(opts, "release", release)
    left = left_behind(opts, environment)
    if left is None or (wanted and left.id != wanted):
        said = f"{wanted} is not half done" if wanted else f"no release of {environment} is half done"
        raise InvalidInput([f"{said}{f'; {left.id} is' if left else ''}"], what="release.resume")
    return _resumed(opts, left, Caller(job=job, user=user, lock_wait=lock_wait), back=False)


def _resumed(opts: Mapping[str, Any], left: ReleaseRecord, asking: Caller, *, back: bool) -> Answer:
    with journal_of(opts) as journal:
        recipe = restore(journal.recipe(left.id))
    what = f"{'rollback' if back else 'resume'} of {left.id}"
    work = Work(environment=left.environment, recipe=recipe, reason=what, succeeds=left)
    return under_way(opts, work, asking, lambda on: take_up(left.id, on, who=asking.who, back=back))


def _asked(subject: Subject, asking: Caller, *, rev: str, message: object, force: object) -> Asked:
    return Asked(
        environment=subject.environment.name,
        servers=subject.servers,
        rev=rev,
        who=asking.who,
        host=socket.gethostname(),
        job=asking.job,
        message=str(message or ""),
        force=frozenset(words(force if force is not False else "")),
    )


def _pause(value: object) -> object:
    """`pause=no` is what YAML makes of it."""
    return "none" if value is False else value


def _plan(opts: Mapping[str, Any], subject: Subject, asked: Asked) -> Answer:
    with staged(opts, asked.environment, subject.recipe, environment=subject.environment) as on:
        asked = rollback_to(subject.recipe, asked, on) if asked.rollback else asked
        made = rollout.plan(subject.recipe, asked, on)
    record, notes = made.as_record(asked), [str(finding) for finding in made.findings]
    told = {
        **lines.plan_data(record, floor=made.floor, notes=notes),
        "refused": made.refused,
        "unchanged": made.unchanged,
    }
    told |= {"already": list(made.already), "left": list(made.left)}
    return Answer(told, lambda colour: lines.plan(record, colour=colour, floor=made.floor, notes=notes))
