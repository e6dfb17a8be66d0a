"""What a job is asked to do, by whom, and which lock it needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from saltlick.jobs.holder import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and as which job of Salt. `user` is never empty: Salt's word for it (`sudo_ann`), else the process's user."""

    user: str
    job_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """One job on one or more environments.

    `succeeds` is the id of a dead job that this one continues: it takes over that job's lock.
    """

    environments: tuple[str, ...]
    feature: str
    action: str
    reason: str
    """One sentence, for those who are refused meanwhile and for the history."""
    caller: Caller
    lock_wait_s: float = 0.0
    mode: Mode = Mode.JOB
    over_stale: bool = field(default=False)
    """Whether a lock whose process is gone is taken over: only where the job can start from any state."""
    succeeds: str = ""
    subject: str = ""
    """What turns red when the job fails and green when it is done, for `notify`; left out: the action."""

    @property
    def job_id(self) -> str:
        """The id under which the lock is held."""
        return self.succeeds or self.caller.job_id
