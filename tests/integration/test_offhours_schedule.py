"""The master's own minion runs off-hours by its schedule, as pillar/common/examples/offhours has it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "pillar/common/examples/offhours/schedule.sls"


def test_the_example_schedule_runs_offhours_on_the_master(house):
    pillar = house.folder / "pillar"
    text = EXAMPLE.read_text("utf-8")
    assert "minutes: 10" in text
    (pillar / "control/schedule.sls").write_text(text.replace("minutes: 10", "seconds: 2"))
    shutil.copy(CHECKOUT / "pillar/test/offhours.sls", pillar / "test/offhours.sls")
    (pillar / "test/release.sls").write_text("")  # this `test` has no application
    remembered = Path(house.master.config["cachedir"]) / "saltlick/offhours/test.json"
    minion = house.minion("salt-master", environment="control")
    (minion.folder / "master").symlink_to(Path(house.master.config_dir) / "master")  # as in /etc/salt
    (house.pki / "minions").mkdir(exist_ok=True)
    shutil.copy(minion.folder / "pki/minion.pub", house.pki / "minions/salt-master")
    try:
        minion.start()
        house.eventually(remembered.exists, "a first run, which remembers what it took as it was", timeout_s=120)
        assert json.loads(remembered.read_text())["done"]
        told = house.run("offhours.status", "test", "--out=json")
        assert (told.code, json.loads(told.stdout)["why"]) == (0, "done")
    finally:
        minion.kill()
        (pillar / "control/schedule.sls").unlink()
        (pillar / "test/offhours.sls").unlink()
        (pillar / "test/release.sls").unlink()
        (house.pki / "minions/salt-master").unlink()
        del house.minions["salt-master"]
