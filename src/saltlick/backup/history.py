"""What was tried with backups, in the master's store: a row before it begins, its end when there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any

from saltlick.jobs.processes import Process, Processes

if TYPE_CHECKING:
    from saltlick.jobs.store import Store

SCHEMA = """
create table if not exists backup_attempts (
  number integer primary key, environment text not null, job text not null, what text not null, backup text not null,
  who text not null, server text not null, began real not null, ended real, ok integer not null default 0,
  error text not null default '', deleted integer not null default 0, pid integer not null, started text not null);
create index if not exists backup_attempts_by_job on backup_attempts (environment, job, number);
"""


class Attempt(str, Enum):
    """What was tried."""

    TAKE = "take"
    VERIFY = "verify"
    UNVERIFIED = "unverified"
    """A verification that could not be carried out: nothing is known of the backup."""
    DRILL = "drill"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupAttempt:
    """One try. `ended` is None while it is under way, and for ever when its process was killed: then `alive` is False."""

    number: int
    what: Attempt
    job: str
    backup: str
    server: str
    who: str
    began: datetime
    ended: datetime | None
    ok: bool
    error: str
    deleted: bool
    alive: bool


class BackupHistory:
    """The backup attempts of one master."""

    def __init__(
        self, store: Store, *, processes: Processes | None = None, now: Callable[[], datetime] | None = None
    ) -> None:
        self._processes = processes or Processes()
        self._now = now or (lambda: datetime.now(timezone.utc))
        self._db = store.db
        store.create(SCHEMA)

    def begin(
        self, environment: str, what: Attempt, job: str, *, backup: str = "", server: str = "", who: str = ""
    ) -> int:
        """Write that something begins; its number."""
        mine = self._processes.mine()
        row = (environment, job, what.value, backup, who, server, self._now().timestamp(), mine.pid, mine.started)
        made = self._db.execute(
            "insert into backup_attempts (environment, job, what, backup, who, server, began, pid, started) "
            "values (?,?,?,?,?,?,?,?,?)",
            row,
        )
        return int(made.lastrowid or 0)

    def end(self, number: int, *, ok: bool, error: str = "", backup: str = "", server: str = "") -> None:
        """Write how it ended; `backup` where its id became another."""
        self._db.execute(
            "update backup_attempts set ended = ?, ok = ?, error = ?, backup = coalesce(nullif(?, ''), backup), "
            "server = coalesce(nullif(?, ''), server) where number = ?",
            (self._now().timestamp(), int(ok), error, backup, server, number),
        )

    def unverified(self, number: int, error: str) -> None:
        """Write that a verification could not be carried out, as where the store cannot be reached."""
        self._db.execute(
            "update backup_attempts set ended = ?, what = ?, error = ? where number = ?",
            (self._now().timestamp(), Attempt.UNVERIFIED.value, error, number),
        )

    def deleted(self, environment: str, job: str, backups: Iterable[str]) -> None:
        """These are gone because they were to go."""
        rows = [(environment, job, backup) for backup in backups]
        self._db.executemany(
            "update backup_attempts set deleted = 1 where environment = ? and job = ? and backup = ?", rows
        )

    def of(self, environment: str, job: str, *, limit: int = 1000) -> tuple[BackupAttempt, ...]:
        """Tries of a job, newest first: the last so many, and every one but of taking backups, however long ago."""
        rows = self._db.execute(
            "select * from backup_attempts where environment = ? and job = ? and (what != ? or number >= coalesce((select number"
            " from backup_attempts where environment = ? and job = ? order by number desc limit 1 offset ?), 0))"
            " order by number desc",
            (environment, job, Attempt.TAKE.value, environment, job, limit - 1),
        )
        return tuple(self._attempt(row) for row in rows.fetchall())

    def _attempt(self, row: Mapping[str, Any]) -> BackupAttempt:
        alive = row["ended"] is None and self._alive(row)
        if (
            row["ended"] is None and not alive
        ):  # it may have ended between the look at its row and the look at its process
            row = self._db.execute("select * from backup_attempts where number = ?", (row["number"],)).fetchone()
        ended = row["ended"]
        return BackupAttempt(
            number=row["number"], what=Attempt(row["what"]), job=row["job"],
            backup=row["backup"], server=row["server"], who=row["who"],
            began=datetime.fromtimestamp(row["began"], timezone.utc),
            ended=datetime.fromtimestamp(ended, timezone.utc) if ended is not None else None,
            ok=bool(row["ok"]), error=row["error"], deleted=bool(row["deleted"]), alive=alive,
        )  # fmt: skip

    def _alive(self, row: Mapping[str, Any]) -> bool:
        return self._processes.find(row["pid"]) == Process(pid=row["pid"], started=row["started"])
