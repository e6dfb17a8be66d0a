"""What was tried, durably: a row before it begins, its end when there is one. SQLite beside the journal of releases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from saltlick.jobs.processes import Process, Processes

SCHEMA = """
create table if not exists entries (
  number integer primary key, environment text not null, job text not null, what text not null, backup text not null,
  who text not null, server text not null, began real not null, ended real, ok integer not null default 0,
  error text not null default '', deleted integer not null default 0, pid integer not null, started text not null);
create index if not exists entries_by_job on entries (environment, job, number);
"""


class What(str, Enum):
    """What was tried."""

    TAKE = "take"
    VERIFY = "verify"
    DRILL = "drill"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One try. `ended` is None while it is under way, and for ever when its process was killed: then `alive` is False."""

    number: int
    what: What
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


class History:
    """The tries of one master."""

    def __init__(
        self, path: Path, *, processes: Processes | None = None, now: Callable[[], datetime] | None = None
    ) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._processes = processes or Processes()
        self._now = now or (lambda: datetime.now(timezone.utc))
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode = wal")
        self._db.executescript(SCHEMA)

    def begin(
        self, environment: str, what: What, job: str, *, backup: str = "", server: str = "", who: str = ""
    ) -> int:
        """Write that something begins; its number."""
        mine = self._processes.mine()
        row = (environment, job, what.value, backup, who, server, self._now().timestamp(), mine.pid, mine.started)
        made = self._db.execute(
            "insert into entries (environment, job, what, backup, who, server, began, pid, started) values (?,?,?,?,?,?,?,?,?)",
            row,
        )
        return int(made.lastrowid or 0)

    def end(self, number: int, *, ok: bool, error: str = "", backup: str = "", server: str = "") -> None:
        """Write how it ended; `backup` where its id became another."""
        self._db.execute(
            "update entries set ended = ?, ok = ?, error = ?, backup = coalesce(nullif(?, ''), backup), "
            "server = coalesce(nullif(?, ''), server) where number = ?",
            (self._now().timestamp(), int(ok), error, backup, server, number),
        )

    def deleted(self, environment: str, job: str, backups: Iterable[str]) -> None:
        """These are gone because they were to go."""
        rows = [(environment, job, backup) for backup in backups]
        self._db.executemany("update entries set deleted = 1 where environment = ? and job = ? and backup = ?", rows)

    def of(self, environment: str, job: str, *, limit: int = 1000) -> tuple[Entry, ...]:
        """Tries of a job, newest first."""
        rows = self._db.execute(
            "select * from entries where environment = ? and job = ? order by number desc limit ?",
            (environment, job, limit),
        )
        return tuple(self._entry(row) for row in rows)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _entry(self, row: Mapping[str, Any]) -> Entry:
        ended = row["ended"]
        process = Process(pid=row["pid"], started=row["started"])
        return Entry(
            number=row["number"], what=What(row["what"]), job=row["job"],
            backup=row["backup"], server=row["server"], who=row["who"],
            began=datetime.fromtimestamp(row["began"], timezone.utc),
            ended=datetime.fromtimestamp(ended, timezone.utc) if ended is not None else None,
            ok=bool(row["ok"]), error=row["error"], deleted=bool(row["deleted"]),
            alive=ended is None and self._processes.find(row["pid"]) == process,
        )  # fmt: skip
