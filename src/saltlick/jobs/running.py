"""The frame of every job: take the lock, report it, record how the job ended, give the lock back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from saltlick.errors import Locked, SaltlickError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from saltlick.jobs.holder import LockLease
    from saltlick.jobs.lock import Locks
    from saltlick.jobs.progress import Progress
    from saltlick.jobs.request import JobRequest

DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"


class History(Protocol):
    """Where the start and the end of each job are recorded."""

    def begin(self, *, environment: str, feature: str, action: str, detail: str, user: str, jid: str) -> int:
        """Record that a job begins. Returns the number of its record."""

    def end(self, number: int, *, outcome: str, reason: str = "") -> None:
        """Record how it ended."""


class RunningJob:
    """A job that has its locks."""

    def __init__(self, request: JobRequest, leases: tuple[LockLease, ...], progress: Progress) -> None:
        self.request = request
        self.leases = leases
        self.progress = progress
        self.outcome, self.reason = DONE, ""
        self.failed_subjects: dict[str, str] = {}
        """What failed inside of a job that is about several things, with why."""

    def ended(self, outcome: str, reason: str = "") -> None:
        """Say how it ended where that is neither `done` nor an exception."""
        self.outcome, self.reason = outcome, reason

    def failed(self, subjects: Mapping[str, str]) -> None:
        """Say that these of several things failed, each with why; the job as a whole did what it could."""
        self.failed_subjects |= subjects
        self.ended(FAILED, "; ".join(f"{subject}: {why}" for subject, why in subjects.items()))


def _as_it_is(refused: Locked) -> Locked:
    return refused


@contextlib.contextmanager
def locked_job(
    request: JobRequest,
    *,
    locks: Locks,
    progress: Progress,
    history: History,
    explain: Callable[[Locked], Locked] = _as_it_is,
    keep: Callable[[], str] = str,
) -> Iterator[RunningJob]:
    """Have the locks of the environments for the block.

    `explain` adds to a refusal what the feature knows of the lock. `keep` is asked at the end: a reason keeps the locks, because
    the job is half done.

    Raises: Locked with the holder.
    """
    with contextlib.ExitStack() as stack:
        job = RunningJob(request, tuple(_take(stack, request, locks, explain, keep)), progress)
        for lease in job.leases:
            _report(lease, progress)
        for environment in request.environments:
            number = _begin(history, request, environment)
            stack.callback(_end, history, number, job)
        try:
            yield job
        except SaltlickError as error:
            job.ended(FAILED, str(error))
            raise
        except BaseException as error:
            job.ended(INTERRUPTED if not isinstance(error, Exception) else FAILED, f"{type(error).__name__}: {error}")
            raise


def _take(
    stack: contextlib.ExitStack,
    request: JobRequest,
    locks: Locks,
    explain: Callable[[Locked], Locked],
    keep: Callable[[], str],
) -> Iterator[LockLease]:
    """All jobs take several locks in one order, so that two jobs never wait for each other."""
    for environment in sorted(set(request.environments)):
        try:
            lease = locks.take(
                environment,
                reason=request.reason,
                job=request.job_id,
                mode=request.mode,
                wait_s=request.lock_wait_s,
                over_stale=request.over_stale,
                succeeds=request.succeeds,
            )
        except Locked as refused:
            raise explain(refused) from None
        stack.callback(_give_back, locks, lease, keep)
        yield lease


def _give_back(locks: Locks, lease: LockLease, keep: Callable[[], str]) -> None:
    if reason := keep():
        locks.keep(lease, reason=reason)
    else:
        locks.release(lease)


def _report(lease: LockLease, progress: Progress) -> None:
    if lease.notice:
        progress.line(f"{lease.holder.environment}: {lease.notice}")
        progress.step(lease.holder.environment, "lock", notice=lease.notice)


def _end(history: History, number: int, job: RunningJob) -> None:
    history.end(number, outcome=job.outcome, reason=job.reason)


def _begin(history: History, request: JobRequest, environment: str) -> int:
    return history.begin(
        environment=environment,
        feature=request.feature,
        action=request.action,
        detail=request.reason,
        user=request.caller.user,
        jid=request.caller.job_id,
    )
