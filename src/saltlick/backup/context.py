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
from saltlick.errors import InvalidInput, NotReady, Problem, ServerFailed
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


class Contested(NotReady):
    """More than one server is, or was when it was seen last, a primary, and nobody said which one lives on."""

    def __init__(self, text: str, primaries: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.primaries = tuple(primaries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who is what among the servers of a database. `unseen`: why the others could not be seen, by server."""

    primaries: tuple[str, ...]
    unseen: Mapping[str, str]

    def contested(self, subject: BackupJob) -> str:
        """What there is to do where more than one is the primary, or nothing."""
        if len(self.primaries) < 2:
            return ""
        return f"more than one server is the primary: {', '.join(self.primaries)}. {self._choices(subject)}"

    def unsettled(self, subject: BackupJob, claimed: Sequence[str]) -> str:
        """The same where one of those that `claimed` to be the primary cannot be seen now, or nothing."""
        unseen = [server for server in claimed if server in self.unseen]
        if not unseen or len(self.primaries) != 1:
            return ""
        return (
            f"{', '.join(unseen)} was a primary as well when it was seen last, and cannot be seen now."
            f" {self._choices(subject)}"
        )

    def _choices(self, subject: BackupJob) -> str:
        command = f"salt-run backup.run {subject.environment} job={subject.name}"
        choices = " or ".join(f"{command} server={server} primary={server}" for server in self.primaries)
        return (
            f"Nothing is backed up and nothing deleted until you say which one lives on: {choices}."
            " Then make the other one a standby of it: salt <server> backup.reseed"
        )


def roles(subject: BackupJob, context: BackupContext) -> Roles:
    """Ask every server of a job for its role; of what is no database, there is none."""
    if subject.job.kind is not BackupKind.POSTGRESQL:
        return Roles(primaries=(), unseen={})
    calls = {server: Call("dbrole.get", (), {"by": "postgresql"}) for server in subject.servers}
    replies = context.fleet.run(calls, deadline_s=60)
    answers = {server: reply.value.get("role", "") for server, reply in replies.items() if reply.ok}
    down = {server: str(replies[server].value.get("seen", "")) for server, role in answers.items() if role == "down"}
    silent = {server: reply.error for server, reply in replies.items() if not reply.ok}
    primaries = tuple(server for server in subject.servers if answers.get(server) == "primary")
    return Roles(primaries=primaries, unseen={**down, **silent})


def chosen(
    subject: BackupJob, context: BackupContext, server: str, primary: str, claimed: Sequence[str] = ()
) -> tuple[str, Roles]:
    """The server that a backup is taken from, and who was seen. `server` and `primary`: what the operator says of it, or empty;
    `claimed`: the primaries of which nobody has said yet which one lives on.

    Raises: InvalidInput for a server that is not one of the job's, or not a primary; NotReady where more than one is the primary
    and nobody says which, or no server has what the job backs up.
    """
    seen = roles(subject, context)
    problems = [
        Problem(name, f"{value} is not one of {', '.join(subject.servers)}")
        for name, value in (("server", server), ("primary", primary))
        if value and value not in subject.servers
    ]
    if primary and not problems and primary not in seen.primaries:
        problems = [Problem("primary", f"{primary} is not a primary; {', '.join(seen.primaries) or 'none'} is")]
    if primary and len(seen.primaries) > 1 and server not in ("", primary):
        problems.append(
            Problem("server", f"nobody knows which primary {server} follows: take it from {primary} itself")
        )
    if problems:
        raise InvalidInput(problems, what="arguments")
    if not primary and (contest := seen.contested(subject)):
        raise Contested(contest, seen.primaries)
    if not primary and (contest := seen.unsettled(subject, claimed)):
        raise Contested(contest, claimed)
    if primary and len(seen.primaries) > 1:
        return primary, seen
    return server or source(subject, context), seen


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
