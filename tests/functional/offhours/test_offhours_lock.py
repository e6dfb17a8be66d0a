"""Off-hours and the lock: who holds it, who is waited for, and what a killed run left."""

from __future__ import annotations

import json
import os
import signal
from datetime import timedelta
from typing import Any

import pytest
from support.offhours_estate import (
    APPS,
    FRIDAY_EVENING,
    LIVE,
    InstantCustodian,
    RecordingApplication,
    locks,
    record,
    remember,
    run,
    running,
)

from saltlick.jobs.holder import Mode


def stale(master: Any, job: str, reason: str) -> None:
    taken = locks(master).take("night", reason=reason, job=job)
    gone = {**taken.holder.as_data(), "process": {"pid": 2**22 + 1, "started": "long ago"}}
    (locks(master).folder / "night.json").write_text(json.dumps(gone))


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(Mode.JOB, "release of main"), (Mode.SHARED, "backup of database"), (Mode.MANUAL, "sale until Sunday")],
)
def test_a_locked_environment_is_skipped_and_the_holder_named(master, aws, mode, reason):
    taken = locks(master).take("night", reason=reason, mode=mode)
    retcode, result, _ = run(master, FRIDAY_EVENING, custodian=InstantCustodian(aws))
    assert retcode == 3
    assert "night does not go off for now" in result["error"]
    assert "bob" in result["error"]
    assert reason in result["error"]
    assert running(aws) >= APPS
    locks(master).release(taken) if mode is not Mode.MANUAL else locks(master).unlock("night")
    assert run(master, FRIDAY_EVENING + timedelta(minutes=10), custodian=InstantCustodian(aws))[0] == 0
    assert running(aws) == LIVE


def test_it_has_the_lock_while_it_works_and_gives_it_back_when_it_fails(master, aws):
    seen = []
    application = RecordingApplication()
    application.when["leave night-app-1 night-app-2"] = lambda: seen.append(str(locks(master).read("night")))
    application.failing["night-app-1"] = "no"
    assert run(master, FRIDAY_EVENING, application, InstantCustodian(aws))[0] == 4
    assert "ann" in seen[0]
    assert "offhours: night goes off" in seen[0]
    assert locks(master).read("night") is None
    assert record(master).job == ""


def test_an_interruption_says_so_gives_the_lock_back_and_the_next_run_goes_on(master, aws):
    application = RecordingApplication()
    application.when["leave night-db-1"] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    retcode, result, _ = run(master, FRIDAY_EVENING, application, InstantCustodian(aws))
    assert (retcode, "SIGTERM: what was switched stays so" in result["error"]) == (4, True)
    assert running(aws) == LIVE | {"night-db-1"}
    assert locks(master).read("night") is None
    assert record(master).done is None
    assert run(master, FRIDAY_EVENING + timedelta(minutes=10), custodian=InstantCustodian(aws))[0] == 0
    assert running(aws) == LIVE


def test_the_lock_of_its_own_killed_run_is_taken_over(master, aws):
    stale(master, "76", "offhours: night goes off")
    remember(master, job="76")
    assert run(master, FRIDAY_EVENING, custodian=InstantCustodian(aws))[0] == 0
    assert running(aws) == LIVE


def test_what_a_killed_release_left_is_looked_at_by_a_person_first(master, aws):
    stale(master, "76", "release of main")
    retcode, result, _ = run(master, FRIDAY_EVENING, custodian=InstantCustodian(aws))
    assert (retcode, "may have left work half done" in result["error"]) == (3, True)
    assert running(aws) >= APPS
