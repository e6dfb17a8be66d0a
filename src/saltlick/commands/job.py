"""The frame of a job on this master: its locks, its history, its progress on stderr and on the bus."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saltlick.commands.announce import announce, declared_notify
from saltlick.commands.terminal import colour_wanted
from saltlick.jobs.history import JobHistory
from saltlick.jobs.lock import Locks
from saltlick.jobs.progress import Progress
from saltlick.jobs.running import locked_job
from saltlick.jobs.store import Store
from saltlick.notify.jobs import conditions_of
from saltlick.salt_io.events import MasterBus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from saltlick.errors import Locked
    from saltlick.jobs.request import JobRequest
    from saltlick.jobs.running import RunningJob


def state_folder(opts: Mapping[str, Any]) -> Path:
    """The folder in which this master keeps its locks, its store and the pages of releases."""
    return Path(opts["cachedir"]) / "saltlick"


def environment_locks(opts: Mapping[str, Any], user: str) -> Locks:
    """The locks of this master, asked for by that user."""
    return Locks(folder=state_folder(opts) / "locks", user=user)


@contextlib.contextmanager
def open_store(opts: Mapping[str, Any]) -> Iterator[Store]:
    """The store of everything that happened on this master."""
    store = Store(state_folder(opts) / "saltlick.sqlite")
    try:
        yield store
    finally:
        store.close()


def job_progress(opts: Mapping[str, Any], job_id: str) -> Progress:
    """Progress of a job on stderr and on the master's bus."""
    return Progress(job_id, MasterBus(opts), colour=colour_wanted(opts, sys.stderr))


@contextlib.contextmanager
def running_job(
    opts: Mapping[str, Any],
    request: JobRequest,
    *,
    explain: Callable[[Locked], Locked] = lambda refused: refused,
    keep: Callable[[], str] = str,
    open_locks: Callable[[Mapping[str, Any], str], Locks] = environment_locks,
) -> Iterator[RunningJob]:
    """Run the block as one job: under the locks of its environments, reported, and recorded in the history.

    `explain` and `keep` as for `saltlick.jobs.running`; `open_locks` returns the locks of a master for a user. Who is told is
    read before anything is touched, and told after the locks are given back.

    Raises: Locked with the holder; InvalidInput where the pillar's `notify` is wrong.
    """
    declared = declared_notify(opts, request.environments)
    locks = open_locks(opts, request.caller.user)
    with open_store(opts) as store, job_progress(opts, request.caller.job_id) as progress:
        begun: list[RunningJob] = []
        try:
            with locked_job(
                request, locks=locks, progress=progress, history=JobHistory(store), explain=explain, keep=keep
            ) as job:
                begun.append(job)
                yield job
        finally:
            conditions = [
                condition for job in begun for name in request.environments for condition in conditions_of(job, name)
            ]
            if begun:
                announce(opts, store, declared, conditions, progress.line)
