"""Backups of real databases by Salt's own schedule; a primary that is lost comes back to the last second; prod's data in test."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest
from e2e.databases import roles, sql
from e2e.estate import MASTER, orchestrate, page_url, post

if TYPE_CHECKING:
    from saltlick.sandbox.control import Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
JOB = "saltlick test: backup database incr"


def salt_run(sandbox: Sandbox, *words: str, code: int = 0) -> dict[str, Any]:
    """What a runner answers."""
    done = sandbox.run(MASTER, ["salt-run", *words, "--out=json"], timeout_s=1200)
    assert done.returncode == code, (words, done.returncode, done.stdout[-3000:], done.stderr[-3000:])
    return dict(json.loads(done.stdout))


def newest(sandbox: Sandbox, environment: str) -> dict[str, Any]:
    told = salt_run(sandbox, "backup.list", environment, "job=database")
    return dict(told["jobs"]["database"]["backups"][-1])


def schedule(sandbox: Sandbox, seconds: int) -> None:
    """Let increments come that often."""
    job = {
        "function": "saltutil.runner",
        "job_args": ["backup.run"],
        "job_kwargs": {"arg": ["test"], "kwarg": {"job": "database", "mode": "incr", "lock_wait": 3600}},
        "maxrunning": 1,
        "seconds": seconds,
    }
    words = [f"{name}={json.dumps(value)}" for name, value in job.items()]
    done = sandbox.run(MASTER, ["salt", MASTER, "state.single", "schedule.present", f"name={JOB}", *words])
    assert done.returncode == 0, done.stdout


def goes_on(url: str, limit_s: float = 120) -> bool:
    """Notes are taken again, once the balancer has seen what `refresh.run` saw: each server well."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return bool(post(url, "it goes on")["id"])
        except HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


class Writer:
    """Posts notes without a pause, and remembers which were acknowledged, and when."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.acknowledged: list[tuple[float, int, str]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _write(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            text = f"continuous {number}"
            with contextlib.suppress(OSError, AssertionError, ValueError):
                told = post(self.url, text)
                self.acknowledged.append((time.time(), int(told["id"]), text))


@pytest.mark.usefixtures("built", "control")
def test_a_full_backup_from_the_standby_and_all_is_fresh(sandbox: Sandbox) -> None:
    _, standby = roles(sandbox, "test")
    told = salt_run(sandbox, "backup.run", "test")
    assert {each["job"]: each["mode"] for each in told["backups"]} == {"database": "full", "objects": "full"}
    assert [each["server"] for each in told["backups"] if each["job"] == "database"] == [standby]
    states = orchestrate(sandbox, "backup", "test", job="objects", mode="incr")
    assert states["backups"]["changes"].keys() == {"objects"}
    assert states["freshness"]["result"]
    assert salt_run(sandbox, "backup.freshness", "test")["jobs"]["database"]["fresh"]
    verified = salt_run(sandbox, "backup.verify", "test")
    assert all(not each["problems"] for found in verified["jobs"].values() for each in found)


@pytest.mark.usefixtures("built", "control")
def test_a_primary_is_lost_without_a_note_and_a_moment_before_it_comes_back(sandbox: Sandbox) -> None:
    """Writing goes on all the while; backups come by the schedule, which is set to half a minute here."""
    primary, standby = roles(sandbox, "test")
    schedule(sandbox, 30)
    with Writer(page_url(sandbox, "test")) as writer:
        time.sleep(10)
        chosen = time.time()
        wait_for_backup(sandbox, chosen)
        lost = "kill -9 $(head -1 /var/lib/postgresql/15/main/postmaster.pid); rm -rf /var/lib/postgresql/15/main"
        assert sandbox.run(primary, ["sh", "-c", lost]).returncode == 0
        began = time.time()
        wait_for_primary(sandbox, standby)
        time.sleep(5)
    schedule(sandbox, 300)
    assert any(at > began + 1 for at, _, _ in writer.acknowledged), "nothing was taken after the primary was lost"
    wait_until_well(sandbox, "test")
    assert roles(sandbox, "test") == (standby, primary)
    there = ids(sandbox, standby)
    assert not [note for note in writer.acknowledged if note[1] not in there]

    moment = datetime.fromtimestamp(chosen, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    how = ["job=database", f"time={moment}", "lock_wait=300"]
    refused = salt_run(sandbox, "backup.restore", "test", *how, code=2)
    assert "this overwrites data of test; to do so, add confirm=test" in refused["error"]
    done = salt_run(sandbox, "backup.restore", "test", *how, "confirm=test")
    assert done["server"] == standby
    assert set(done["kept"]) == {primary, standby}
    wait_until_well(sandbox, "test")
    assert roles(sandbox, "test") == (standby, primary)
    there = ids(sandbox, standby)
    assert not [note for note in writer.acknowledged if note[0] <= chosen and note[1] not in there]
    assert not [note for note in writer.acknowledged if note[0] > chosen + 2 and note[1] in there]
    assert post(page_url(sandbox, "test"), "after the restore")["id"]
    took = salt_run(sandbox, "backup.run", "test", "job=database", "mode=incr", "lock_wait=300")
    assert took["backups"][0]["mode"] == "full"


@pytest.mark.usefixtures("built", "control")
def test_a_switchover_and_back_by_the_operators_commands(sandbox: Sandbox) -> None:
    primary, standby = roles(sandbox, "test")
    switched = salt_run(sandbox, "database.switchover", "test", "lock_wait=300")
    assert (switched["server"], roles(sandbox, "test")) == (standby, (standby, primary))
    made = salt_run(sandbox, "database.reinit", "test", f"server={primary}", "lock_wait=300")
    assert made["servers"][primary]["receiving"]
    refused = salt_run(sandbox, "database.promote", "test", f"server={primary}", "lock_wait=300", code=7)
    assert f"{standby} is the primary, and a second one would split the data" in refused["error"]


def ids(sandbox: Sandbox, server: str) -> set[int]:
    return {int(line) for line in sql(sandbox, server, "select id from notes").splitlines()}


def wait_for_backup(sandbox: Sandbox, reaching: float) -> None:
    """Until the schedule has brought an increment that reaches beyond a moment."""
    deadline = time.monotonic() + 400
    while True:
        last = newest(sandbox, "test")
        reaches = datetime.strptime(last["reaches"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        if last["mode"] == "incr" and reaches.timestamp() > reaching:
            return
        assert time.monotonic() < deadline, f"no backup came by the schedule: {last}"
        time.sleep(3)


def wait_for_primary(sandbox: Sandbox, server: str) -> None:
    deadline = time.monotonic() + 60
    while sql(sandbox, server, "select pg_is_in_recovery()") != "f":
        assert time.monotonic() < deadline, f"{server} is not the primary after 60 s"
        time.sleep(0.5)


def wait_until_well(sandbox: Sandbox, environment: str) -> None:
    """Until `database.status` has nothing red to say."""
    deadline = time.monotonic() + 240
    while True:
        done = sandbox.run(MASTER, ["salt-run", "database.status", environment], timeout_s=120)
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, f"after 240 s: {done.stdout}"
        time.sleep(3)


@pytest.mark.usefixtures("built", "control")
def test_data_of_prod_comes_to_test_masked_and_never_the_other_way(sandbox: Sandbox, prod: dict[str, Any]) -> None:
    post(page_url(sandbox, "prod"), "somebody's secret")
    before = sql(sandbox, roles(sandbox, "prod")[0], "select count(*), max(text) from notes")
    for words in (["source=test", "target=prod"], ["source=prod", "target=prod"], ["source=prod", "target=prod,test"]):
        assert salt_run(sandbox, "refresh.run", *words, code=2)["error"]

    rehearsed = salt_run(sandbox, "backup.run", "prod", "job=database", "lock_wait=300")
    assert rehearsed["backups"][0]["mode"] == "full"
    assert salt_run(sandbox, "backup.drill", "prod")["drills"]["database"]["checks"][0]["name"] == "notes"

    assert orchestrate(sandbox, "refresh", "test", lock_wait=300)["data"]["changes"].keys() == {"test"}
    [done] = salt_run(sandbox, "refresh.history", "test", "limit=1")["refreshes"]
    assert done["phase"] == "done"
    assert [each["name"] for each in done["checks"]] == ["notes", "recognisable"]
    primary, standby = roles(sandbox, "test")
    masked = sql(sandbox, primary, "select count(*), count(*) filter (where text = 'note ' || id) from notes").split(
        "|"
    )
    assert masked[0] == masked[1] != "0"
    assert masked[0] == before.split("|")[0]
    assert sql(sandbox, standby, "select count(*) from notes") == masked[0]
    assert goes_on(page_url(sandbox, "test"))
    assert sql(sandbox, roles(sandbox, "prod")[0], "select count(*), max(text) from notes") == before
