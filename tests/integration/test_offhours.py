"""Off-hours on a real master: a night with Cloud Custodian and real minions, and the schedule of the master's own minion."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from saltlick.jobs.store import Store
from saltlick.offhours.records import OffHoursRecords

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300), pytest.mark.usefixtures("cloud_custodian")]

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "pillar/common/examples/offhours/schedule.sls"


@pytest.fixture
def nights(deployed):
    """`test` deployed, with off-hours in its pillar and no application."""
    pillar = deployed.folder / "pillar/test"
    shutil.copy(CHECKOUT / "pillar/test/offhours.sls", pillar / "offhours.sls")
    (pillar / "release.sls").write_text("")
    yield deployed
    (pillar / "offhours.sls").unlink()
    (pillar / "release.sls").unlink()


def states(master) -> dict[str, str]:
    done = master.run("offhours.status", "test", "--out=json")
    assert done.code == 0, done
    return {name: one["state"] for name, one in json.loads(done.stdout)["things"].items()}


def test_a_night_and_a_morning(nights):
    """Servers are asked over Salt's bus, Custodian acts on the account, and both agree in the end."""
    done = nights.run("offhours.stop", "test", "--out=json")
    assert done.code == 0, (done.stdout, done.stderr)
    came = [(one["name"], one["came"]) for one in json.loads(done.stdout)["outcomes"]]
    assert came == [("test-second-1", "done"), ("test-first-1", "done")]
    assert set(states(nights).values()) == {"stopped"}
    assert nights.locks.read("test") is None

    silent = nights.minions["test-second-1"]
    silent.kill()
    (nights.folder / "pillar/test/offhours.sls").write_text(
        (CHECKOUT / "pillar/test/offhours.sls").read_text() + "  settle_s: 25\n"
    )
    done = nights.run("offhours.start", "test", "--out=json")
    assert done.code == 4, (done.stdout, done.stderr)
    assert "test-second-1: failed: it runs, and its minion did not answer" in json.loads(done.stdout)["error"]
    silent.start()
    nights.eventually(lambda: nights.answers("test-second-1"), "the minion is back")
    done = nights.run("offhours.start", "test", "--out=json")
    assert done.code == 0, (done.stdout, done.stderr)
    assert set(states(nights).values()) == {"running"}


def test_it_is_skipped_while_another_job_has_the_environment(nights):
    taken = nights.locks.take("test", reason="refresh of test", job="9")
    try:
        done = nights.run("offhours.stop", "test", "--out=json")
    finally:
        nights.locks.release(taken)
    assert (done.code, "refresh of test" in json.loads(done.stdout)["error"]) == (3, True)
    assert set(states(nights).values()) == {"running"}


def test_the_example_schedule_runs_offhours_on_the_master(master):
    pillar = master.folder / "pillar"
    text = EXAMPLE.read_text("utf-8")
    assert "minutes: 10" in text
    (pillar / "control/schedule.sls").write_text(text.replace("minutes: 10", "seconds: 2"))
    shutil.copy(CHECKOUT / "pillar/test/offhours.sls", pillar / "test/offhours.sls")
    (pillar / "test/release.sls").write_text("")  # this `test` has no application
    store = Path(master.daemon.config["cachedir"]) / "saltlick/saltlick.sqlite"

    def remembered() -> datetime | None:
        with closing(Store(store)) as opened:
            return OffHoursRecords(opened).read("test").done

    minion = master.minion("salt-master", environment="control")
    (minion.folder / "master").symlink_to(Path(master.daemon.config_dir) / "master")  # as in /etc/salt
    (master.pki / "minions").mkdir(exist_ok=True)
    shutil.copy(minion.folder / "pki/minion.pub", master.pki / "minions/salt-master")
    try:
        minion.start()
        master.eventually(remembered, "a first run, which remembers what it took as it was", timeout_s=120)
        told = master.run("offhours.status", "test", "--out=json")
        assert (told.code, json.loads(told.stdout)["why"]) == (0, "done")
    finally:
        minion.kill()
        (pillar / "control/schedule.sls").unlink()
        (pillar / "test/offhours.sls").unlink()
        (pillar / "test/release.sls").unlink()
        (master.pki / "minions/salt-master").unlink()
        del master.minions["salt-master"]
