"""How far each refresh came, in the master's store, so that an interrupted one is finished and not repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saltlick.jobs.store import Store

SCHEMA = """
create table if not exists refreshes (
  number integer primary key, source text not null, target text not null, who text not null, phase text not null,
  began real not null, changed real not null, error text not null default '', result text not null default '{}');
create index if not exists refreshes_by_target on refreshes (target, number);
"""


class RefreshPhase(str, Enum):
    """How far. Until `EXCHANGED` the target is as it was."""

    BEGAN = "began"
    RESTORING = "restoring"
    READY = "ready"
    """Masked and proved beside what serves."""
    EXCHANGED = "exchanged"
    DONE = "done"
    FAILED = "failed"


OPEN = frozenset({RefreshPhase.BEGAN, RefreshPhase.RESTORING, RefreshPhase.READY, RefreshPhase.EXCHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """One refresh. `result` is what is known of it: server, backups, checks, seconds."""

    number: int
    source: str
    target: str
    who: str
    phase: RefreshPhase
    began: datetime
    changed: datetime
    error: str
    result: Mapping[str, Any]


class RefreshRecords:
    """The refreshes of one master."""

    def __init__(self, store: Store, *, now: Callable[[], datetime] | None = None) -> None:
        self._now = now or (lambda: datetime.now(timezone.utc))
        self._store, self._db = store, store.db
        store.create(SCHEMA)

    def begin(self, source: str, target: str, who: str) -> int:
        """Record that one begins. Returns its number."""
        at = self._now().timestamp()
        row = (source, target, who, RefreshPhase.BEGAN.value, at, at)
        made = self._db.execute(
            "insert into refreshes (source, target, who, phase, began, changed) values (?,?,?,?,?,?)", row
        )
        return int(made.lastrowid or 0)

    def reached(self, number: int, phase: RefreshPhase, *, error: str = "", **result: Any) -> None:
        """Record how far it is now; `result` is added to what is known of its result."""
        with self._store.transaction() as db:
            row = db.execute("select result from refreshes where number = ?", (number,)).fetchone()
            known = {**json.loads(row["result"]), **result}
            db.execute(
                "update refreshes set phase = ?, changed = ?, error = ?, result = ? where number = ?",
                (phase.value, self._now().timestamp(), error, json.dumps(known, default=str), number),
            )

    def latest(self, target: str) -> Refreshed | None:
        """The last one of a target."""
        newest = self.history(target, limit=1)
        return newest[0] if newest else None

    def history(self, target: str, *, limit: int = 20) -> tuple[Refreshed, ...]:
        """Newest first."""
        rows = self._db.execute(
            "select * from refreshes where target = ? order by number desc limit ?", (target, limit or -1)
        )
        return tuple(_read(row) for row in rows)


def _read(row: Mapping[str, Any]) -> Refreshed:
    return Refreshed(
        number=row["number"],
        source=row["source"],
        target=row["target"],
        who=row["who"],
        phase=RefreshPhase(row["phase"]),
        began=datetime.fromtimestamp(row["began"], timezone.utc),
        changed=datetime.fromtimestamp(row["changed"], timezone.utc),
        error=row["error"],
        result=json.loads(row["result"]),
    )
