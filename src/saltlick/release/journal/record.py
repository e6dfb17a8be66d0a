"""What is known of a release: the journal writes it, everything that shows or resumes one reads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Phase(str, Enum):
    """What a step does; those from `drain` to `restore` are the walk of each server, in this order."""

    PREFLIGHT = "preflight"
    HOOK = "hook"
    BUILD = "build"
    ONCE = "once"
    DRAIN = "drain"
    STOP = "stop"
    ACTIVATE = "activate"
    START = "start"
    HEALTH = "health"
    RESTORE = "restore"
    WAIT = "wait"
    FINISH = "finish"


class Result(str, Enum):
    """How a release came out."""

    RUNNING = "running"
    DONE = "done"
    UNCHANGED = "unchanged"  # every server had it already
    PARTIAL = "done, servers left out"  # within max_failures, or by `skip`
    REFUSED = "refused"  # nothing was touched
    ROLLED_BACK = "rolled back"  # every touched server is on its own previous revision
    STUCK = "stuck"  # some server is neither here nor there; the lock stays

    @property
    def exit_code(self) -> int:
        """What a shell is told. A release that stopped half way is stuck until somebody takes it up."""
        return {
            Result.DONE: 0,
            Result.UNCHANGED: 0,
            Result.ROLLED_BACK: 5,
            Result.STUCK: 6,
            Result.RUNNING: 6,
            Result.REFUSED: 7,
            Result.PARTIAL: 8,
        }[self]


class ServerStatus(str, Enum):
    """Where one server is in the release."""

    WAITING = "waiting"
    TOUCHED = "touched"  # its walk has begun
    DONE = "done"
    UNDONE = "undone"  # back on what it had
    LEFT_OUT = "left out"  # failed or fell silent: out of traffic, and named
    SKIPPED = "skipped"  # by an operator


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step: written before it starts (`ended` is None) and again after it ended."""

    number: int
    phase: Phase
    name: str
    server: str = ""
    """Empty: the release as a whole."""
    batch: int = 0
    """Counted from 1; 0 outside the batches."""
    undo: bool = False
    """On the way back."""
    started: float
    """Seconds of the epoch."""
    ended: float | None = None
    ok: bool | None = None
    detail: str = ""
    """One line: what was seen, or why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """One server of the release."""

    name: str
    zone: str = ""
    batch: int = 0
    previous: str = ""
    """The revision (SHA) it had before; empty: none."""
    standing: ServerStatus = ServerStatus.WAITING
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Looks:
    """What the balancer showed during a release: the fewest servers in traffic, of so many looks."""

    fewest: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRecord:
    """One release as the journal has it. `id` is `<environment>-<UTC time>-<short SHA>`, unique in the journal."""

    id: str
    environment: str
    application: str
    group: str
    strategy: str
    rev: str
    """As it was asked for."""
    sha: str
    """What that was, once, at the start."""
    rollback: bool = False
    """An operator's `rollback`, not a release."""
    who: str
    host: str
    job: str
    message: str = ""
    started: float
    ended: float | None = None
    result: Result = Result.RUNNING
    reason: str = ""
    """Why it failed, one or more sentences; empty when it did not."""
    undoing: bool = False
    """It was decided that everything goes back."""
    servers: tuple[ServerRecord, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    looks: Looks = Looks()
    requests: tuple[tuple[str, float, int], ...] = ()
    """(server, second of the epoch, requests in that second), where the recipe says which log tells."""
