"""What every job with backups stands on: servers, the history, the clock, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from saltlick.backup.catalogue import Catalogue
from saltlick.backup.history import BackupHistory
from saltlick.backup.pillar import BackupJobSpec, BackupKind
from saltlick.engine.ports import Clock
from saltlick.errors import NotReady, ServerFailed
from saltlick.fleet.detached import run_detached
from saltlick.fleet.ports import Call, Fleet, Reply

LOOK_S = 330.0
"""A store may take its time to be listed: `_modules/_saltlick_backup_stores.py` gives it 300 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupJob:
    """One job of one environment, and the servers that have what it backs up."""

    environment: str
    name: str
    job: BackupJobSpec
    servers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BackupContext:
    """The ports."""

    fleet: Fleet
    clock: Clock
    history: BackupHistory
    notify: Callable[[str, Mapping[str, Any]], None] = lambda line, event: None
    """A line for people with the event for machines; either may be empty."""
    today: Callable[[], datetime] = field(default=lambda: datetime.now(timezone.utc))

    def one(self, server: str, call: Call, *, deadline_s: float = LOOK_S) -> Any:
        """What one server returned. Raises: ServerFailed."""
        return settled(server, self.fleet.run({server: call}, deadline_s=deadline_s)[server])

    def long(self, server: str, call: Call, *, job: str, deadline_s: float) -> Any:
        """The same for what may take long: it goes on when the master dies. Raises: ServerFailed."""
        replies = run_detached(self.fleet, self.clock, {server: call}, job=job, deadline_s=deadline_s)
        return settled(server, replies[server])

    def catalogue(self, server: str, store: str, job: str) -> Catalogue:
        """What a store has of a job, as a server sees it. Raises: ServerFailed."""
        return Catalogue.read(self.one(server, Call("backup.catalogue", (store, [job]))), job)


def settled(server: str, reply: Reply) -> Any:
    """The value of a good reply. Raises: ServerFailed."""
    if not reply.ok:
        raise ServerFailed(f"{server}: {reply.error}")
    return reply.value


def source(subject: BackupJob, context: BackupContext) -> str:
    """The server that a backup is taken from: the standby where there is one, whatever answers otherwise.

    Raises: NotReady when no server has it, with what each said.
    """
    calls = {
        server: Call("backup.holds", (subject.job.kind.value,), dict(subject.job.options)) for server in subject.servers
    }
    replies = context.fleet.run(calls, deadline_s=60)
    roles = {
        server: reply.value.get("role", "")
        for server, reply in replies.items()
        if reply.ok and reply.value.get("holds")
    }
    for role in ("standby", "primary", ""):
        if having := [server for server in subject.servers if roles.get(server) == role]:
            return having[0]
    reasons = "; ".join(f"{server}: {_why(reply)}" for server, reply in replies.items())
    raise NotReady(
        f"no server of {subject.job.servers} has what {subject.name} backs up ({subject.job.kind.value}): {reasons}"
    )


def primary(servers: Sequence[str], context: BackupContext) -> str:
    """The one server whose database takes writes.

    Raises: NotReady where there is none, or more than one.
    """
    replies = context.fleet.run(
        {server: Call("backup.holds", (BackupKind.POSTGRESQL.value,)) for server in servers}, deadline_s=60
    )
    primaries = [server for server, reply in replies.items() if reply.ok and reply.value.get("role") == "primary"]
    if len(primaries) == 1:
        return primaries[0]
    reasons = "; ".join(f"{server}: {_why(reply)}" for server, reply in replies.items())
    raise NotReady(f"{'no server is' if not primaries else 'more than one server is'} the primary: {reasons}")


def _why(reply: Reply) -> str:
    if not reply.ok:
        return reply.error
    return str(reply.value.get("why") or reply.value.get("role") or "has it")
