"""`salt-run backup.*` as typed, without a running master: what is wrong is said before anybody is asked."""

from __future__ import annotations

import pytest
from support.two_environments import PILLAR, answer, orchestrated, two_environments


@pytest.fixture
def two(master):
    return two_environments(master)


def test_without_a_master_nothing_is_done(two):
    done = answer(two, "backup.run", "one")
    assert done["retcode"] == 7
    assert "no salt-master runs here" in done["error"]


def test_a_pillar_that_is_wrong(two):
    text = PILLAR.format(
        name="two", store="valt", production="false", cidr="10.62.0.0/16", subnet="10.62.0.0/24", source="one"
    )
    two.pillar("two", text)
    done = answer(two, "backup.freshness", "two")
    assert done["retcode"] == 2
    assert done["problems"] == ["backup.jobs.database.store: there is no store valt; did you mean vault?"]
    assert "hunter2" not in str(done)


def test_a_restore_asks_back_and_production_wants_to_be_named(two):
    done = answer(two, "backup.restore", "one", "job=database")
    assert done["retcode"] == 2
    assert done["problems"] == [
        "confirm: this overwrites data of one; to do so, add confirm=one",
        "overwrite_production: one is marked production; to overwrite it, add overwrite_production='yes, overwrite one'",
    ]
    done = answer(two, "backup.restore", "two", "job=database", "confirm=one")
    assert done["problems"] == ["confirm: this overwrites data of two; to do so, add confirm=two"]


def test_a_misspelt_argument_is_named(two):
    done = answer(two, "backup.run", "one", "jobs=database")
    assert done["retcode"] == 2
    assert done["problems"] == ["jobs: is not an argument; there are job, mode, server, primary, lock_wait"]


def test_an_orchestrated_backup_that_is_not_made_fails_the_run(two):
    retcode, wrong = orchestrated(two, "backup", "one", job="database")
    assert retcode != 0
    assert "no salt-master runs here" in wrong["backups"]


def test_a_master_is_not_restored_by_a_command_that_it_would_have_to_survive(two):
    text = PILLAR.format(
        name="two", store="vault", production="false", cidr="10.62.0.0/16", subnet="10.62.0.0/24", source="one"
    )
    jobs = "    salt: {master: {}, servers: db, store: bucket, full: {every_s: 3600}}\n"
    bucket = "  bucket: {s3: {bucket: acme, access_key: a, secret_key: b}, encryption_key: needle-in-the-haystack}\n"
    two.pillar("two", text.replace("backup:\n", f"{bucket}backup:\n").replace("  jobs:\n", f"  jobs:\n{jobs}"))
    done = answer(two, "backup.restore", "two", "job=salt", "confirm=two")
    assert done["retcode"] == 2
    assert done["problems"] == [
        "job: a master is recovered on its own machine: salt-call backup.recover_master bucket salt"
    ]
    assert "needle" not in str(done)
