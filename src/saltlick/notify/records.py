"""What is red and who was told of it, in the master's store."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from saltlick.notify.condition import Condition, Feature, RememberedCondition, Severity, TargetRecord

if TYPE_CHECKING:
    from saltlick.jobs.store import Store

SCHEMA = """
create table if not exists notify_states (
  environment text not null, feature text not null, name text not null, severity text not null, since real not null,
  green_at real, known text not null, unknown text not null, next_commands text not null,
  primary key (environment, feature, name));
create table if not exists notify_targets (
  environment text not null, feature text not null, name text not null, target text not null, severity text not null,
  told_at real, error text not null, primary key (environment, feature, name, target));
"""
_WHICH = "environment = ? and feature = ? and name = ?"


class NotifyRecords:
    """The states that are red, or green again with somebody still to be told. What is green and told has no row."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(SCHEMA)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time tell people: two that end at once would tell them twice."""
        with (self._store.path.parent / "notify.lock").open("a") as lock:
            os.fchmod(lock.fileno(), 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def observe(self, condition: Condition, now: float) -> None:
        """Remember how a thing stands. Since when it is red stays as it was while it is red."""
        with self._store.transaction() as db:
            row = db.execute(f"select since, green_at from notify_states where {_WHICH}", _key(condition)).fetchone()  # noqa: S608
            if condition.red:
                since = row["since"] if row and row["green_at"] is None else now
                values = (*_key(condition), condition.severity.value, since, None, *map(_json, _texts(condition)))
                db.execute("insert or replace into notify_states values (?,?,?,?,?,?,?,?,?)", values)
            elif row and row["green_at"] is None:
                db.execute(f"update notify_states set green_at = ? where {_WHICH}", (now, *_key(condition)))  # noqa: S608

    def states(self, environment: str) -> tuple[RememberedCondition, ...]:
        """All that is red or still to be told of, those that are red for the longest time first."""
        rows = self._store.db.execute(
            "select * from notify_states where environment = ? order by since, feature, name", (environment,)
        )
        return tuple(_remembered(row) for row in rows)

    def told(self, condition: Condition) -> dict[str, TargetRecord]:
        """What each target was told, or could not be told."""
        rows = self._store.db.execute(f"select * from notify_targets where {_WHICH}", _key(condition))  # noqa: S608
        return {
            row["target"]: TargetRecord(severity=Severity(row["severity"]), told_at=row["told_at"], error=row["error"])
            for row in rows
        }

    def keep(self, condition: Condition, target: str, record: TargetRecord) -> None:
        """Remember what a target was told, or could not be."""
        values = (*_key(condition), target, record.severity.value, record.told_at, record.error)
        self._store.db.execute("insert or replace into notify_targets values (?,?,?,?,?,?,?)", values)

    def forget_target(self, condition: Condition, target: str) -> None:
        """It was told that all is well again, or is not declared any more."""
        self._store.db.execute(f"delete from notify_targets where {_WHICH} and target = ?", (*_key(condition), target))  # noqa: S608

    def forget(self, condition: Condition) -> None:
        """Nobody has to be told of it any more."""
        with self._store.transaction() as db:
            for table in ("notify_states", "notify_targets"):
                db.execute(f"delete from {table} where {_WHICH}", _key(condition))  # noqa: S608


def _key(condition: Condition) -> tuple[str, str, str]:
    return condition.environment, condition.feature.value, condition.name


def _texts(condition: Condition) -> tuple[tuple[str, ...], ...]:
    return condition.known, condition.unknown, condition.next_commands


def _json(lines: tuple[str, ...]) -> str:
    return json.dumps(lines)


def _remembered(row: Mapping[str, Any]) -> RememberedCondition:
    texts = {name: tuple(json.loads(row[name])) for name in ("known", "unknown", "next_commands")}
    condition = Condition(
        environment=row["environment"],
        feature=Feature(row["feature"]),
        name=row["name"],
        severity=Severity(row["severity"]),
        **texts,
    )
    return RememberedCondition(condition=condition, since=row["since"], green_at=row["green_at"])


def plain(remembered: RememberedCondition) -> dict[str, Any]:
    """One condition as JSON-able data. Times are seconds since the epoch."""
    condition = remembered.condition
    return {
        "environment": condition.environment,
        "feature": condition.feature.value,
        "name": condition.name,
        "severity": condition.severity.value,
        "known": list(condition.known),
        "unknown": list(condition.unknown),
        "next": list(condition.next_commands),
        "since": remembered.since,
        "green_at": remembered.green_at,
    }
