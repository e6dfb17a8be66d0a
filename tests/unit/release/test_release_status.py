"""Status: every server has its line, and what is not as it should be is said, with names."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from support import release_samples as samples

from saltlick.fleet.ports import Seen, Traffic
from saltlick.release.journal.record import Result
from saltlick.release.report import status
from saltlick.release.report.status import ServerNow

NOW = samples.START


def well(number: int, **change: Any) -> ServerNow:
    usual = ServerNow(
        name=f"prod-app-{number}",
        zone="us-east-1a",
        sha=samples.NEW,
        since=NOW - 7200,
        healthy=True,
        traffic=Seen(Traffic.IN, sessions=3),
    )
    return replace(usual, **change)


def test_all_well_is_said_in_a_sentence():
    text = status.text("prod", [well(1), well(2)], now=NOW)
    assert text.endswith("2 servers on f5d9859, healthy and in traffic.")
    assert "2 h 00 m" in text
    assert "3 sessions" in text
    assert status.flags([well(1), well(2)]) == ()


def test_mixed_revisions_are_flagged_with_names():
    servers = [well(1), well(2), well(3, sha=samples.OLD)]
    assert status.flags(servers) == ("mixed revisions: f5d9859 on 2; a1b2c3d on prod-app-3",)
    assert status.data("prod", servers, now=NOW)["mixed"] is True


def test_server_without_a_release_is_mixed_too():
    assert status.flags([well(1), well(2, sha="")]) == ("mixed revisions: f5d9859 on 1; nothing on prod-app-2",)


def test_silence_is_no_other_revision():
    servers = [well(1), ServerNow(name="prod-app-2", error="no answer within 5 s")]
    assert "no answer: prod-app-2" in status.flags(servers)
    assert not [flag for flag in status.flags(servers) if "mixed" in flag]
    assert "no answer within 5 s" in status.text("prod", servers, now=NOW)


def test_nobody_out_of_traffic_is_unsaid():
    servers = [well(n, traffic=Seen(Traffic.OUT, "maint")) for n in range(30)]
    flags = " ".join(status.flags(servers))
    assert all(server.name in flags for server in servers)
    text = status.text("prod", servers, now=NOW)
    assert text.count("OUT OF TRAFFIC: maint") == 30
    assert "healthy and in traffic" not in text


def test_long_reasons_leave_the_table_readable_and_are_said_whole_below_it():
    why = (
        "health.http: http://127.0.0.1:8001/health: not healthy after 2 s, last seen: connection refused by the kernel"
    )
    seen = Seen(Traffic.UNHEALTHY, "unhealthy: Target.FailedHealthChecks Health checks failed with these codes: [502]")
    servers = [well(1), well(2, healthy=False, health=why, traffic=seen)]
    text = status.text("prod", servers, now=NOW)
    rows = text.splitlines()[1:4]
    assert max(map(len, rows)) < 200
    assert why not in "\n".join(rows)
    assert f"  prod-app-2: {why}" in text.splitlines()
    assert f"  prod-app-2: {seen.detail}" in text.splitlines()


def test_a_release_that_left_a_server_out_of_traffic_says_how_it_comes_back():
    text = status.text("prod", [well(1)], now=NOW, last=samples.left_out())
    assert "salt-run release.rolling prod rev=f5d9859" not in text, "it is over, and nobody has to look at it"
    behind = replace(samples.left_out(), result=Result.ROLLED_BACK)
    assert "salt-run release.resume prod" in status.text("prod", [well(1)], now=NOW, last=behind)


def test_lock_and_running_release_are_said():
    text = status.text("prod", [well(1)], now=NOW, lock="release by ann", last=samples.running())
    assert "locked: release by ann" in text
    assert "running: prod-20261122T140311Z-f5d9859" in text
    assert "release.watch prod" in text


def test_for_machines():
    data = status.data("prod", [well(1, healthy=None)], now=NOW, last=samples.done())
    assert json.loads(json.dumps(data)) == data
    assert data["servers"]["prod-app-1"] == {
        "zone": "us-east-1a",
        "sha": samples.NEW,
        "branch": None,
        "age_s": 7200,
        "healthy": None,
        "health": "",
        "traffic": "in",
        "sessions": 3,
        "error": None,
    }
    assert data["flags"] == ["health unknown: prod-app-1"]
    assert data["running"] is False
