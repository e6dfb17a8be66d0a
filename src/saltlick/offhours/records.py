"""What is remembered of an environment's off-hours: the last change made, who wants it kept on, and which job is at work.

One row per environment in the master's store, read and changed in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from saltlick.errors import NotReady
from saltlick.offhours.due import KeepOn
from saltlick.offhours.schedule import OnOff

if TYPE_CHECKING:
    from saltlick.jobs.store import Store

SCHEMA = "CREATE TABLE IF NOT EXISTS offhours (environment TEXT PRIMARY KEY, record TEXT NOT NULL);"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSwitch:
    """The last time that something was switched, or was tried."""

    side: OnOff
    at: datetime
    ok: bool
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OffHoursRecord:
    """All that is remembered. `done`: the last change that was made; `job`: whose lock it is that a killed run left."""

    done: datetime | None = None
    keep: KeepOn | None = None
    last: LastSwitch | None = None
    job: str = ""


class OffHoursRecords:
    """The records of one master: a row per environment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(SCHEMA)

    def read(self, environment: str) -> OffHoursRecord:
        """Raises: NotReady when the row is there and cannot be read."""
        query = "SELECT record FROM offhours WHERE environment = ?"
        row = self._store.db.execute(query, (environment,)).fetchone()
        if row is None:
            return OffHoursRecord()
        try:
            return _from_data(json.loads(row["record"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NotReady(
                f"what is remembered of {environment} cannot be read: repair or delete its row in the table offhours of "
                f"{self._store.path} ({error})"
            ) from error

    def change(self, environment: str, change: Callable[[OffHoursRecord], OffHoursRecord]) -> OffHoursRecord:
        """Replace the record by what `change` makes of it; returns that."""
        with self._store.transaction() as db:
            changed = change(self.read(environment))
            db.execute("INSERT OR REPLACE INTO offhours VALUES (?, ?)", (environment, json.dumps(_as_data(changed))))
        return changed


def made(record: OffHoursRecord, last: LastSwitch, moment: datetime) -> OffHoursRecord:
    """After a change that was made, for which of the moments it stands, and a keep that it put an end to."""
    done = max(moment, record.done) if record.done else moment
    over = record.keep is not None and record.keep.until <= last.at
    return replace(record, done=done, last=last, job="", keep=None if over else record.keep)


def _as_data(record: OffHoursRecord) -> dict[str, Any]:
    keep, last = record.keep, record.last
    return {
        "done": _text(record.done),
        "keep": keep and {"until": _text(keep.until), "since": _text(keep.since), "by": keep.by, "reason": keep.reason},
        "last": last
        and {"side": last.side.value, "at": _text(last.at), "ok": last.ok, "by": last.by, "reason": last.reason},
        "job": record.job,
    }


def _from_data(content: Mapping[str, Any]) -> OffHoursRecord:
    keep, last = content["keep"], content["last"]
    return OffHoursRecord(
        done=_instant(content["done"]) if content["done"] else None,
        keep=keep and KeepOn(**{**keep, "until": _instant(keep["until"]), "since": _instant(keep["since"])}),
        last=last and LastSwitch(**{**last, "side": OnOff(last["side"]), "at": _instant(last["at"])}),
        job=str(content["job"]),
    )


def _text(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} says nothing of its time zone")
    return moment
