"""Backups, jobs and a fleet for the tests of backups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from support.clock import FakeClock
from support.fleet import FakeFleet

from saltlick.backup.catalogue import Backup, Catalogue, name_of
from saltlick.backup.context import BackupContext, BackupJob
from saltlick.backup.history import BackupHistory
from saltlick.backup.pillar import BackupJobSpec
from saltlick.fleet.ports import Call, Reply
from saltlick.jobs.store import Store

T0 = datetime(2026, 11, 2, 2, 0, tzinfo=timezone.utc)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def backup(at: datetime, mode: str = "full", previous: Backup | None = None, **more: Any) -> Backup:
    """A backup that began at a moment and took a minute."""
    facts: dict[str, Any] = {
        "id": name_of(at, mode),
        "job": "database",
        "kind": "postgresql",
        "mode": mode,
        "base": (previous.base or previous.id) if previous else "",
        "previous": previous.id if previous else "",
        "server": "prod-db-2",
        "role": "standby",
        "began": at,
        "ended": at + timedelta(minutes=1),
        "size": 1000,
        "raw_size": 4000,
        "reaches": at,
        "vouched": True,
        "why": "",
        "seconds": {"copy": 50.0, "ship": 10.0},
        "versions": {"postgresql": "15.8"},
    }
    return Backup(**{**facts, **more})


def nightly(nights: int, increments: int = 0) -> tuple[Backup, ...]:
    """A full backup each night, and so many incremental ones after each, an hour apart."""
    taken: list[Backup] = []
    for night in range(nights):
        last = backup(T0 + night * DAY)
        taken.append(last)
        for number in range(increments):
            last = backup(T0 + night * DAY + (number + 1) * HOUR, "incr", last)
            taken.append(last)
    return tuple(taken)


def catalogue(*backups: Backup, unfinished: tuple[str, ...] = (), unreadable: tuple[str, ...] = ()) -> Catalogue:
    return Catalogue(backups=backups, unfinished=unfinished, unreadable=unreadable)


def job(**more: Any) -> BackupJobSpec:
    """A job for a database."""
    return BackupJobSpec.model_validate({"postgresql": {}, "servers": "db", "store": "vault", **more})


def manifest(backup: Backup) -> dict[str, Any]:
    """As the server's part writes it."""
    return {
        **{
            name: getattr(backup, name)
            for name in ("id", "job", "kind", "mode", "base", "previous", "server", "role", "size", "raw_size")
        },
        "began": f"{backup.began:%Y-%m-%dT%H:%M:%SZ}",
        "ended": f"{backup.ended:%Y-%m-%dT%H:%M:%SZ}",
        "postgresql": {
            "reaches": f"{backup.reaches:%Y-%m-%d %H:%M:%S.%f}+00",
            "primary_asked": True,
            **timelines(backup),
        },
        "sequence": backup.sequence,
        "follows": backup.follows,
        "why": backup.why,
        "seconds": dict(backup.seconds),
        "versions": dict(backup.versions),
        "files": {},
    }


def timelines(backup: Backup) -> dict[str, Any]:
    """What a manifest says of the timelines of a backup."""
    if not backup.lineage:
        return {}
    system, ancestors, number = backup.lineage[-1]
    born = {"born": f"{backup.born:%Y-%m-%d %H:%M:%S.%f}+00"} if backup.born else {}
    ended = [f"{moment:%Y-%m-%d %H:%M:%S.%f}+00" if moment else "" for moment in backup.left]
    return {
        "system": system, "ancestors": [list(ancestor) for ancestor in ancestors], "timeline": number, "left": ended, **born,
    }  # fmt: skip


class Servers(FakeFleet):
    """A fleet of two database servers with one store. `answers` takes the place of what a function would do."""

    def __init__(self, *there: Backup, roles: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.manifests = [manifest(backup) for backup in there]
        self.unfinished: list[str] = []
        self.remarks: list[str] = []
        self.roles = dict(roles or {"prod-db-1": "primary", "prod-db-2": "standby"})
        self._jobs: dict[str, Reply] = {}

    def _reply(self, server: str, call: Call) -> Reply:
        if call.function == "detached.start":
            inner = Call(call.args[1], tuple(call.kwargs["args"]), call.kwargs["kwargs"])
            self._jobs[call.args[0]] = self._reply(server, inner)
            return Reply(True, {"state": "running"})
        if call.function == "detached.status":
            reply = self._jobs[call.args[0]]
            return Reply(True, {"state": "done" if reply.ok else "failed", "value": reply.value, "error": reply.error})
        return super()._reply(server, call)

    def answer(self, server: str, call: Call) -> Any:
        if call.function in self.answers:
            return super().answer(server, call)
        return getattr(self, "_" + call.function.replace(".", "_"))(server, call)

    def _backup_holds(self, server: str, call: Call) -> Reply:
        role = self.roles.get(server, "")
        if role == "silent":
            return Reply(False, error="no answer", silent=True)
        return Reply(True, {"holds": bool(role), "role": role, "why": "" if role else "PostgreSQL does not answer"})

    def _dbrole_get(self, server: str, call: Call) -> Reply:
        role = self.roles.get(server, "")
        if role == "silent":
            return Reply(False, error="no answer", silent=True)
        return Reply(True, {"role": role or "down", "by": "postgresql", "seen": f"as {role or 'nobody'}"})

    def _backup_catalogue(self, server: str, call: Call) -> Reply:
        listed = [manifest for manifest in self.manifests if manifest["job"] in call.args[1]]
        return Reply(True, {"manifests": listed, "unfinished": list(self.unfinished), "unreadable": []})

    def _backup_take(self, server: str, call: Call) -> Reply:
        _, job_name, name, _ = call.args
        at = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        how = call.kwargs
        last = next((listed for listed in self.manifests if listed["id"] == how["previous"]), None)
        links = {"previous": last["id"], "base": last["base"] or last["id"]} if last else {}
        facts = {"id": name, "job": job_name, "server": server, "mode": how["mode"], "why": how["why"], **links}
        taken = replace(backup(at), **facts, sequence=how["sequence"], follows=(how["follows"] or [""])[0])
        self.manifests.append({**manifest(taken), "why": taken.why, "warnings": self.remarks})
        return Reply(True, self.manifests[-1])

    def _backup_prune(self, server: str, call: Call) -> Reply:
        gone = set(call.args[2])
        self.manifests = [manifest for manifest in self.manifests if manifest["id"] not in gone]
        self.unfinished = [name for name in self.unfinished if name.partition("/")[2] not in gone]
        return Reply(True, sorted(gone))

    def _backup_verify(self, server: str, call: Call) -> Reply:
        return Reply(True, {"id": call.args[2], "problems": [], "size": 1})

    def _backup_restore(self, server: str, call: Call) -> Reply:
        return Reply(True, {"checks": [], "reached": "2026-11-02 02:00:00+00", "seconds": {}, "kept": "/before"})

    def _backup_reseed(self, server: str, call: Call) -> Reply:
        return Reply(True, {"role": "standby", "kept": "/before"})


def stage(servers: Servers, folder: Path, now: datetime = T0 + 30 * DAY) -> BackupContext:
    history = BackupHistory(Store(folder / "backups.sqlite"), now=lambda: now)
    return BackupContext(fleet=servers, clock=FakeClock(), history=history, today=lambda: now)


def subject(**more: Any) -> BackupJob:
    return BackupJob(environment="prod", name="database", job=job(**more), servers=("prod-db-1", "prod-db-2"))
