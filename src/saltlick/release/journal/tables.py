"""The journal's tables, and how their rows become records."""

from __future__ import annotations

import sqlite3

from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerRecord, ServerStatus, StepRecord

SCHEMA = """
CREATE TABLE IF NOT EXISTS releases (
    id TEXT PRIMARY KEY, environment TEXT, application TEXT, "group" TEXT, strategy TEXT, rev TEXT, sha TEXT,
    rollback INTEGER, who TEXT, host TEXT, job TEXT, message TEXT, started REAL, ended REAL, result TEXT, reason TEXT,
    undoing INTEGER, failure TEXT DEFAULT '', recipe TEXT, attempt INTEGER DEFAULT 0
);
CREATE TABLE IF NOT EXISTS release_servers (
    release TEXT, position INTEGER, name TEXT, zone TEXT, batch INTEGER, previous TEXT, standing TEXT, detail TEXT,
    PRIMARY KEY (release, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS release_steps (
    release TEXT, number INTEGER, phase TEXT, name TEXT, server TEXT, batch INTEGER, undo INTEGER,
    started REAL, ended REAL, ok INTEGER, detail TEXT,
    PRIMARY KEY (release, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS release_requests (
    release TEXT, server TEXT, second REAL, count INTEGER,
    PRIMARY KEY (release, server, second)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS release_looks (release TEXT PRIMARY KEY, fewest INTEGER, looks INTEGER);
CREATE TABLE IF NOT EXISTS release_controls (
    number INTEGER PRIMARY KEY, release TEXT, want TEXT, server TEXT, who TEXT, reason TEXT, given REAL,
    taken INTEGER DEFAULT 0
);
CREATE INDEX IF NOT EXISTS releases_by_start ON releases (environment, started);
CREATE INDEX IF NOT EXISTS release_controls_by_release ON release_controls (release, taken);
"""

FIELDS = (
    "id", "environment", "application", '"group"', "strategy", "rev", "sha", "rollback", "who", "host", "job", "message",
    "started", "ended", "result", "reason", "undoing",
)  # fmt: skip

STEP_FIELDS = ("number", "phase", "name", "server", "batch", "undo", "started", "ended", "ok", "detail")


def head_from(row: sqlite3.Row) -> ReleaseRecord:
    """A release without servers and steps."""
    values = {name: row[name.strip('"')] for name in FIELDS}
    values["group"] = values.pop('"group"')
    for flag in ("rollback", "undoing"):
        values[flag] = bool(values[flag])
    return ReleaseRecord(**{**values, "result": Result(values["result"])})


def server_from(row: sqlite3.Row) -> ServerRecord:
    """One server of a release."""
    values = {name: row[name] for name in ("name", "zone", "batch", "previous", "detail")}
    return ServerRecord(**values, standing=ServerStatus(row["standing"]))


def step_from(row: sqlite3.Row) -> StepRecord:
    """One step of a release."""
    values = {name: row[name] for name in ("number", "name", "server", "batch", "started", "ended", "detail")}
    ok = None if row["ok"] is None else bool(row["ok"])
    return StepRecord(**values, phase=Phase(row["phase"]), undo=bool(row["undo"]), ok=ok)
