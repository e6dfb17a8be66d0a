"""Which server was the primary at the last look, in the master's store, so that a change of it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saltlick.jobs.store import Store

SCHEMA = "create table if not exists database_primaries (environment text primary key, server text not null);"


class PrimaryRecords:
    """The primaries of one master's environments."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(SCHEMA)

    def replaced(self, environment: str, server: str) -> str:
        """Record who is the primary now. Returns who was it before, empty where it is the same, or the first."""
        with self._store.transaction() as db:
            row = db.execute("select server from database_primaries where environment = ?", (environment,)).fetchone()
            db.execute("replace into database_primaries values (?, ?)", (environment, server))
        before = str(row["server"]) if row else ""
        return before if before != server else ""
