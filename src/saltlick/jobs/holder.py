"""Who has the lock of an environment, since when, why, and what ends it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import Any

from saltlick.jobs.processes import Process


class Mode(str, Enum):
    """What ends a lock."""

    JOB = "job"  # one command: released when it returns
    RUN = "run"  # a whole orchestration: jobs of the same process join it; released at the latest when that exits
    MANUAL = "manual"  # a person: released by a person, never stale, never waited for
    SHARED = "shared"  # one command that changes nothing, such as a backup: any number at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has an environment, since when and what for."""

    environment: str
    mode: Mode
    user: str
    host: str
    process: Process
    job: str
    reason: str
    since: str
    """UTC, ISO 8601."""

    def __str__(self) -> str:
        where = f"on {self.host}" if self.mode is Mode.MANUAL else f"on {self.host} (process {self.process.pid})"
        job = f", job {self.job}" if self.job else ""
        return f"{self.user} {where}{job} since {self.since}: {self.reason or 'no reason given'}"

    def as_data(self) -> dict[str, Any]:
        """JSON-able, the form on disk."""
        return {**dataclasses.asdict(self), "mode": self.mode.value}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Holder:
        return cls(**{**data, "mode": Mode(data["mode"]), "process": Process(**data["process"])})


@dataclass(frozen=True, slots=True)
class LockLease:
    """A lock we have. `notice` says that a stale one was taken over; `joined` that our orchestration had it already."""

    holder: Holder
    notice: str = ""
    joined: bool = False
