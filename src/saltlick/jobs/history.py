"""What happened: a row for each job, written when it begins and when it ends."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saltlick.jobs.processes import Process, Processes

if TYPE_CHECKING:
    from saltlick.jobs.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY, environment TEXT NOT NULL, feature TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL,
    user TEXT NOT NULL, host TEXT NOT NULL, jid TEXT NOT NULL, began REAL NOT NULL, ended REAL,
    outcome TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', pid INTEGER NOT NULL, started TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_environment ON jobs (environment, number);
"""

UNDER_WAY = "under way"
DIED = "died"
"""The process is gone and wrote no end: it was killed, or the machine went down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEntry:
    """One job. `began` and `ended` are seconds since the epoch; `ended` is None for one that is under way or died."""

    number: int
    environment: str
    feature: str
    action: str
    detail: str
    user: str
    host: str
    jid: str
    began: float
    ended: float | None
    outcome: str
    """`done`, `failed`, `interrupted`, what the feature calls it (`rolled back`), `under way` or `died`."""
    reason: str


class JobHistory:
    """The jobs of one master."""

    def __init__(
        self, store: Store, *, processes: Processes | None = None, epoch: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._processes = processes or Processes()
        self._epoch = epoch
        store.create(SCHEMA)

    def begin(self, *, environment: str, feature: str, action: str, detail: str, user: str, jid: str) -> int:
        """Record that a job begins. Returns the number of its record."""
        mine = self._processes.mine()
        row = (
            environment,
            feature,
            action,
            detail,
            user,
            socket.gethostname(),
            jid,
            self._epoch(),
            mine.pid,
            mine.started,
        )
        cursor = self._store.db.execute(
            "INSERT INTO jobs (environment, feature, action, detail, user, host, jid, began, pid, started) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return int(cursor.lastrowid or 0)

    def end(self, number: int, *, outcome: str, reason: str = "") -> None:
        """Record how it ended."""
        self._store.db.execute(
            "UPDATE jobs SET ended = ?, outcome = ?, reason = ? WHERE number = ?",
            (self._epoch(), outcome, reason, number),
        )

    def end_open(self, *, environment: str, action: str, jid: str, outcome: str) -> bool:
        """Record the end of a job that another call of the same process began. False where it has ended: it stays so."""
        ended = self._store.db.execute(
            "UPDATE jobs SET ended = ?, outcome = ? WHERE environment = ? AND action = ? AND jid = ? AND pid = ? "
            "AND ended IS NULL",
            (self._epoch(), outcome, environment, action, jid, self._processes.mine().pid),
        )
        return ended.rowcount > 0

    def history(self, environment: str, *, limit: int = 20) -> tuple[JobEntry, ...]:
        """The newest jobs of an environment, newest first; all with `limit` 0."""
        rows = self._store.db.execute(
            "SELECT * FROM jobs WHERE environment = ? ORDER BY number DESC LIMIT ?", (environment, limit or -1)
        )
        return tuple(map(self._entry, rows))

    def _entry(self, row: Mapping[str, Any]) -> JobEntry:
        values = {name: row[name] for name in JobEntry.__slots__ if name != "outcome"}
        return JobEntry(**values, outcome=row["outcome"] if row["ended"] is not None else self._unended(row))

    def _unended(self, row: Mapping[str, Any]) -> str:
        if row["host"] != socket.gethostname():
            return UNDER_WAY  # processes of another machine cannot be seen
        alive = self._processes.find(row["pid"]) == Process(pid=row["pid"], started=row["started"])
        return UNDER_WAY if alive else DIED
