"""What the pillar of an environment says of backups, and the ports that a backup needs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saltlick.backup.context import BackupContext, BackupJob
from saltlick.backup.history import BackupHistory
from saltlick.backup.pillar import parse_backups
from saltlick.commands.context import declared_environment, master_ports
from saltlick.commands.job import open_store
from saltlick.environment.pillar import Environment, layout
from saltlick.errors import InvalidInput, Problem
from saltlick.jobs.holder import Mode
from saltlick.jobs.request import JobRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from saltlick.jobs.progress import Progress
    from saltlick.jobs.request import Caller


@dataclass(frozen=True, kw_only=True)
class DeclaredBackups:
    """The backup jobs of one environment, by name."""

    environment: Environment
    jobs: Mapping[str, BackupJob]

    def chosen(self, job: str) -> tuple[BackupJob, ...]:
        """The job of that name; without a name, all.

        Raises: InvalidInput.
        """
        if not job:
            return tuple(self.jobs.values())
        if job not in self.jobs:
            raise InvalidInput(
                [Problem("job", f"there is no job {job}; there is {', '.join(self.jobs)}")], what="arguments"
            )
        return (self.jobs[job],)


def declared_backups(opts: Mapping[str, Any], name: object) -> DeclaredBackups:
    """What the pillar says.

    Raises: InvalidInput with every problem.
    """
    environment, pillar = declared_environment(opts, name)
    jobs = {
        job: BackupJob(
            environment=environment.name,
            name=job,
            job=spec,
            servers=tuple(layout.server_names(environment, spec.servers)),
        )
        for job, spec in parse_backups(pillar, environment).jobs.items()
    }
    return DeclaredBackups(environment=environment, jobs=jobs)


def shared_job(name: str, action: str, reason: str, caller: Caller, lock_wait_s: float) -> JobRequest:
    """A job that changes nothing in the environment: others of its kind run beside it."""
    return JobRequest(
        environments=(name,),
        feature="backup",
        action=action,
        subject=reason,
        reason=reason,
        caller=caller,
        lock_wait_s=lock_wait_s,
        mode=Mode.SHARED,
        over_stale=True,
    )


@contextlib.contextmanager
def backup_context(
    opts: Mapping[str, Any], environment: str, progress: Progress | None = None
) -> Iterator[BackupContext]:
    """The ports of one command.

    Raises: NotReady where no master runs.
    """

    def notify(line: str, event: Mapping[str, Any]) -> None:
        if progress and line:
            progress.line(line)
        if progress and event:
            content = {key: value for key, value in event.items() if key not in {"job", "step"}}
            progress.step(environment, f"backup/{event['job']}/{event['step']}", **content)

    with open_store(opts) as store, master_ports(opts) as ports:
        yield BackupContext(fleet=ports.fleet, clock=ports.clock, history=BackupHistory(store), notify=notify)
