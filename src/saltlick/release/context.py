"""What a release is asked to do, and all it may use to do it: the arguments of `rollout.release` and its siblings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from saltlick.jobs.interrupts import Interrupts

if TYPE_CHECKING:
    from saltlick.engine.ports import Clock
    from saltlick.fleet.ports import Balancer, Fleet
    from saltlick.release.journal.record import ReleaseRecord, StepRecord
    from saltlick.release.journal.store import Journal

FORCE_WORDS = ("True", "unhealthy", "silent", "disk", "window", "unfinished")
"""What an operator may override, each by its own word. `True`: the same revision again."""


@dataclass(frozen=True, slots=True)
class ReleaseServer:
    """One server of the group that is released; its name is its minion id."""

    name: str
    zone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """What the operator typed, and who that was. `servers` is the whole group, fixed before anything is asked of it."""

    environment: str
    servers: tuple[ReleaseServer, ...]
    rev: str = ""
    """Branch, tag or SHA; for a rollback `to`: a SHA, a tag, a number of releases back, or empty for the last good one."""
    who: str
    host: str
    job: str
    message: str = ""
    force: frozenset[str] = frozenset()
    rollback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEvent:
    """One thing that just happened, for the screen and the bus.

    `step` None and the release running: it starts (or resumes). `step` None and a result: it is over.
    A step is told twice, as in the journal: when it starts (`ended` is None) and after it ended.
    """

    release: ReleaseRecord
    """The head alone: without steps and servers."""
    step: StepRecord | None = None
    batches: int = 0
    """How many there are in all, as planned."""
    text: str = ""
    """A sentence of its own: a warning, what is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseContext:
    """The world of a release, behind ports."""

    fleet: Fleet
    """Calls go to the server they are addressed to."""
    master: Fleet
    """The same protocol, but calls run on the master (runner or execution function); the address says on whose behalf."""
    balancer: Balancer
    journal: Journal
    clock: Clock
    epoch: Callable[[], float] = time.time
    notify: Callable[[ReleaseEvent], None] = lambda news: None
    interrupts: Interrupts = field(default_factory=Interrupts)
