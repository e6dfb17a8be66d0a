"""What a server may answer to each function, and that a lie or garbage is a failed step that says so."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from support.fleet import FakeFleet

from saltlick.engine.wait import SystemClock
from saltlick.fleet.answers import ANSWERS, fault, parsed
from saltlick.fleet.detached import run_detached
from saltlick.fleet.ports import Call, Reply

ROOT = Path(__file__).resolve().parents[3]
SHA = "f5d98594c2a7e0b1d3f6a8895c4e7b2013d6fa48"
BACKUP = "20261123T020000Z-full"
MANIFEST = {
    "id": BACKUP,
    "job": "database",
    "kind": "postgresql",
    "mode": "full",
    "base": "",
    "previous": "",
    "server": "prod-db-2",
    "began": "2026-11-23T02:00:00Z",
    "ended": "2026-11-23T02:01:00Z",
    "size": 7,
    "raw_size": 9,
    "files": {},
}
JOB = {"job": "r/1", "state": "done", "function": "revision.prepare", "error": "", "output_tail": ""}
PREPARED = {"folder": f"/srv/app/releases/{SHA}", "sha": SHA, "state": "prepared"}
PROXIED = {"admin": "ready", "status": "UP", "check": "L7OK", "sessions": 3, "queue": 0, "address": "[::1]:80"}
DATABASE = {"role": "primary", "seen": "x", "streams": [], "receiving": False, "members": ["prod-db-1"], "patroni": {}}

TRUE: tuple[tuple[str, Any], ...] = (
    ("revision.resolve", SHA),
    ("revision.current", ""),
    ("revision.free", 5000),
    ("revision.prepare", PREPARED),
    ("revision.built", {"folder": "/srv/app/releases/x", "changed": True, "bridged": 12}),
    ("revision.activate", {"previous": "", "current": SHA, "changed": True}),
    ("revision.mark", {"sha": SHA, "state": "absent"}),
    ("revision.prune", {"removed": [SHA], "kept": []}),
    ("health.http", {"healthy": True, "checks": 3, "seconds": 2.1, "last": "status 200"}),
    ("detached.status", {"job": "x", "state": "unknown"}),
    ("detached.status", {**JOB, "value": PREPARED}),
    ("detached.status", {**JOB, "function": "cmd.run_all", "value": {"retcode": 0}}),
    ("requests_seen.count", {"1763805600": 12}),
    ("requests_seen.errors", {"requests": 120, "errors": 3}),
    ("haproxy_runtime.show", {"app-1": PROXIED}),
    ("haproxy_runtime.drain", {"before": "ready", "now": "drain", "changed": True, "sessions": 3}),
    ("dbrole.get", {"role": "primary", "by": "postgresql", "seen": "pg_is_in_recovery() is f"}),
    ("database.status", DATABASE),
    ("backup.holds", {"holds": True, "role": "standby", "why": ""}),
    ("backup.whose", {"environment": "test", "production": False}),
    ("backup.take", MANIFEST),
    ("backup.catalogue", {"manifests": [MANIFEST], "unfinished": [f"database/{BACKUP}"], "unreadable": []}),
    ("backup.verify", {"id": BACKUP, "problems": [], "size": 7, "seconds": 0.1}),
    ("backup.prune", [BACKUP]),
    ("backup.restore", {"checks": [], "reached": "x", "seconds": {}, "kept": ["/srv/x.before-restore"]}),
    ("backup.exchange", {"kept": "/var/lib/x"}),
)
LIES: tuple[tuple[str, Any], ...] = (
    ("revision.resolve", ""),
    ("revision.resolve", "x; touch pwned"),
    ("revision.resolve", f"{SHA}\n"),
    ("revision.current", "$(touch pwned)"),
    ("revision.current", SHA.upper()),
    ("revision.current", [SHA]),
    ("revision.free", "5000"),
    ("revision.free", -1),
    ("revision.free", True),
    ("revision.prepare", {**PREPARED, "state": "fine"}),
    ("revision.prepare", {**PREPARED, "folder": "srv/app"}),
    ("revision.activate", {"previous": "x", "current": SHA}),
    ("revision.prune", {"removed": ["../x"], "kept": []}),
    ("health.http", {"healthy": False, "checks": 3, "last": ""}),
    ("health.tcp", "ok"),
    ("health.command", None),
    ("detached.status", {"job": "x", "state": "perfect"}),
    ("detached.status", "done"),
    ("detached.status", {**JOB, "value": {**PREPARED, "sha": "x"}}),
    ("requests_seen.count", {"now": 12}),
    ("requests_seen.errors", {"requests": 120}),
    ("requests_seen.errors", {"requests": 120, "errors": -1}),
    ("requests_seen.count", {"1763805600": "many"}),
    ("haproxy_runtime.show", {"app-1": {**PROXIED, "sessions": "0"}}),
    ("haproxy_runtime.drain", {"before": "ready", "now": "gone", "sessions": 0}),
    ("dbrole.get", {"role": "king", "seen": ""}),
    ("database.status", {**DATABASE, "members": ["-oProxyCommand=x"]}),
    ("backup.holds", {"holds": "yes", "role": "", "why": ""}),
    ("backup.whose", {"environment": "test", "production": 0}),
    ("backup.whose", {"environment": "../prod", "production": False}),
    ("backup.take", {**MANIFEST, "id": "../../x"}),
    ("backup.catalogue", {"manifests": [{**MANIFEST, "base": "gone"}], "unfinished": [], "unreadable": []}),
    ("backup.catalogue", {"manifests": [], "unfinished": ["a/../../b"], "unreadable": []}),
    ("backup.verify", {"id": BACKUP, "problems": "none", "size": 7}),
    ("backup.prune", ["*"]),
    ("backup.restore", {"checks": None}),
    ("backup.exchange", {"kept": "/x\x1b]52;"}),
    ("test.ping", "true"),
)


@pytest.mark.parametrize(("function", "value"), TRUE)
def test_what_the_modules_answer_is_taken_as_it_is(function: str, value: Any) -> None:
    reply = Reply(True, value)
    assert parsed("prod-app-1", Call(function), reply) is reply


@pytest.mark.parametrize(("function", "value"), LIES)
def test_a_lie_is_a_failed_reply_that_names_server_and_function(function: str, value: Any) -> None:
    reply = parsed("prod-app-1", Call(function), Reply(True, value))
    assert (reply.ok, reply.value) == (False, None)
    assert reply.error.startswith(f"{function}: the answer of prod-app-1 ")
    assert reply.error.isprintable()


def test_what_a_job_did_is_judged_by_what_was_asked_and_not_by_what_it_says_it_was() -> None:
    said = {**JOB, "function": "own.function", "value": {**PREPARED, "sha": "$(x)"}}
    fleet = FakeFleet(detached__start={"job": "j", "state": "running"}, detached__status=said)
    replies = run_detached(fleet, SystemClock(), {"a": Call("revision.prepare")}, job="j", deadline_s=5)
    assert not replies["a"].ok
    assert "revision.prepare: the answer of a is none, sha" in replies["a"].error


def test_a_function_of_a_recipe_has_no_form() -> None:
    assert fault("own.function", object()) == ""


def test_each_function_of_ours_that_is_called_has_a_form() -> None:
    """Calls are written `Call("module.function", …)`."""
    ours = {path.stem for path in (ROOT / "_modules").glob("[a-z]*.py")}
    called = {
        node.args[0].value
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Call" and node.args
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }
    wanted = {name for name in called if name.partition(".")[0] in ours}
    assert len(wanted) > 20
    assert not wanted - ANSWERS.keys()
