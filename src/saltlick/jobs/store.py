"""The store of everything that happened on this master: one SQLite file, in which each feature has tables of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_S = 30.0


class Store:
    """One connection to the file. Open one per process and thread; in WAL mode, others read while one writes.

    Only the master's user can read the file: it has the arguments of steps. `durable` False leaves out the wait for the disk, for
    tests only: a power cut then loses the last writes.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self.path = path
        self.db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        with self._alone():
            self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")

    def create(self, schema: str) -> None:
        """Create a feature's tables where they are not there yet."""
        with self._alone():
            self.db.executescript(schema)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write several rows together or not at all."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield self.db
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:  # a signal may come at any moment, also just after the commit
                self.db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time prepare the file: SQLite does not wait for another that switches it to WAL.

        The lock is the folder's. A lock on the file itself would end SQLite's own locks of this process when it is closed.
        """
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()
