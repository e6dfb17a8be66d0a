"""A release under way: its lock, its signals, what is told of it, and what becomes of the lock when it is over."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import salt.utils.user

from saltlick.commands.lock import environment_locks, wait_seconds
from saltlick.commands.release.context import ReleaseTarget, open_journal, release_context, release_target
from saltlick.commands.release.notifier import ReleaseNotifier, progress
from saltlick.commands.release.result import NOTHING_TOUCHED, release_result
from saltlick.commands.release.webhook import WebhookNotifier
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Locked
from saltlick.jobs.interrupts import Interrupted
from saltlick.release.context import ReleaseRequest
from saltlick.release.journal.record import ReleaseRecord, Result
from saltlick.salt_io.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from saltlick.release.context import ReleaseContext
    from saltlick.release.pillar import Recipe
    from saltlick.salt_io.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, and as which job."""

    job: str = ""
    user: str = ""
    lock_wait: object = 0

    @property
    def who(self) -> str:
        """As Salt says (`sudo_ann`), else who runs the process."""
        return self.user or str(salt.utils.user.get_specific_user())


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done, whichever story it is: the environment, the recipe, and the lock it needs."""

    environment: str
    recipe: Recipe
    reason: str
    subject: ReleaseTarget | None = None
    succeeds: ReleaseRecord | None = None
    """The release that is taken up: its lock is taken over."""

    @classmethod
    def of(cls, subject: ReleaseTarget, asked: ReleaseRequest) -> Work:
        what = f"rollback to {asked.rev or 'the last good revision'}" if asked.rollback else f"release of {asked.rev}"
        said = f"{what} of {subject.recipe.application}" + (f": {asked.message}" if asked.message else "")
        return cls(environment=asked.environment, recipe=subject.recipe, reason=said, subject=subject)


def run_release(
    opts: Mapping[str, Any],
    work: Work,
    asking: Caller,
    story: Callable[[ReleaseContext], ReleaseRecord],
    *,
    stage: Callable[..., AbstractContextManager[ReleaseContext]] = release_context,
) -> CommandResult:
    """Have the lock, tell of it, run the story; what becomes of the lock afterwards, the journal says."""
    signals = Signals()
    declared = work.subject.environment if work.subject else None
    try:
        with signals.heard(), progress(opts, asking.job) as told, _locked(opts, work, asking, told):
            teller = ReleaseNotifier(opts, told, WebhookNotifier(opts, _webhook(opts, work), told.line))
            with stage(
                opts, work.environment, work.recipe, tell=teller, interrupts=signals.interrupts, environment=declared
            ) as on:
                with signals.rolling():
                    record = story(on)
                record = on.journal.read(record.id) or record
            return release_result(opts, record)
    except Interrupted as stopped:
        return CommandResult({"error": f"{stopped}: nothing was touched"}, retcode=NOTHING_TOUCHED)


@contextlib.contextmanager
def _locked(opts: Mapping[str, Any], work: Work, asking: Caller, told: Progress) -> Iterator[None]:
    """The environment's lock for the block. A release that is left half done keeps it, whatever ended the block.

    Raises: Locked; where a release died under it, with the way to take that up.
    """
    desk, succeeds = environment_locks(opts, asking.who), work.succeeds.job if work.succeeds else ""
    job = succeeds or asking.job
    wait_s = wait_seconds(asking.lock_wait)
    try:
        taken = desk.take(
            work.environment, reason=work.reason, job=job, wait_s=wait_s, over_stale=False, succeeds=succeeds
        )
    except Locked as refused:
        left = unfinished_release(opts, work.environment)
        raise (Locked(f"{refused}. {next_commands(left)}") if left else refused) from None
    if taken.notice:
        told.line(f"{work.environment}: {taken.notice}")
        told.step(work.environment, "lock", notice=taken.notice)
    try:
        yield
    finally:
        left = unfinished_release(opts, work.environment)
        if left is not None and left.job == job:
            desk.keep(taken, reason=f"{left.id} is half done. {next_commands(left)}")
        else:
            desk.release(taken)


def unfinished_release(opts: Mapping[str, Any], environment: str) -> ReleaseRecord | None:
    """The release that is under way, was when its process died, or is stuck."""
    with open_journal(opts) as journal:
        latest = journal.unfinished(environment) or journal.latest(environment)
    return latest if latest and latest.result in {Result.RUNNING, Result.STUCK} else None


def next_commands(left: ReleaseRecord) -> str:
    env = left.environment
    return f"To go on with {left.id}: salt-run release.resume {env}; to take it back: salt-run release.rollback {env}"


def _webhook(opts: Mapping[str, Any], work: Work) -> Any:
    """An address that is a secret is not in the journal: for a release that is taken up, the pillar says it again."""
    webhook = work.recipe.webhook
    if webhook is None or webhook.kept:
        return webhook
    with contextlib.suppress(InvalidInput):
        return release_target(opts, work.environment).recipe.webhook
    return None
