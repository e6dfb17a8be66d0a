"""The history of backups in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from saltlick.backup.history import Attempt, BackupAttempt, BackupHistory


class Attempts(BackupHistory):
    """The history in memory: a file would take most of the time. Every process that did not end is gone."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.rows: list[BackupAttempt] = []

    def begin(
        self, environment: str, what: Attempt, job: str, *, backup: str = "", server: str = "", who: str = ""
    ) -> int:
        at = self._now()
        row = {
            "number": len(self.rows),
            "what": what,
            "job": job,
            "backup": backup,
            "server": server,
            "who": who,
            "began": at,
        }
        self.rows.append(BackupAttempt(**row, ended=None, ok=False, error="", deleted=False, alive=False))  # type: ignore[arg-type]
        return len(self.rows) - 1

    def end(self, number: int, *, ok: bool, error: str = "", backup: str = "", server: str = "") -> None:
        name = backup or self.rows[number].backup
        self.rows[number] = replace(
            self.rows[number], ended=self._now(), ok=ok, error=error, backup=name, server=server
        )

    def unverified(self, number: int, error: str) -> None:
        self.end(number, ok=False, error=error)
        self.rows[number] = replace(self.rows[number], what=Attempt.UNVERIFIED)

    def deleted(self, environment: str, job: str, backups: Iterable[str]) -> None:
        pass

    def of(self, environment: str, job: str, *, limit: int = 1000) -> tuple[BackupAttempt, ...]:
        return tuple(reversed(self.rows))
