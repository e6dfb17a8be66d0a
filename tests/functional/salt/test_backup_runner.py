"""`salt-run backup.*` and `refresh.*` as typed, without a running master: what is wrong is said before anybody is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]

PILLAR = """
environment:
  name: {name}
  production: {production}
  region: us-east-1
  image: {{id: ami-12c6146b}}
  cidr: {cidr}
  zones: [us-east-1a]
  subnets:
    private: {{cidrs: [{subnet}]}}
  firewall:
    db: [{{from: self, tcp: 5432}}]
  servers:
    db: {{count: 2, type: t3.small, subnet: private, firewall: db}}
stores:
  vault: {{rsync: {{address: 172.20.0.10, module: x, user: x, password: hunter2}}}}
backup:
  jobs:
    database: {{postgresql: {{}}, servers: db, store: {store}, full: {{cron: '0 2 * * *'}}}}
refresh:
  source: {source}
  job: database
  store: vault
  servers: db
  mask: nothing_personal
  checks: [{{name: one, database: app, query: select 1}}]
"""


def told(master, function, *words):
    """What a runner answers."""
    return master.call(function, *words)["return"]


@pytest.fixture
def two(master):
    """`one` is production, `two` is not, and either names the other as its source."""
    top = master.folder / "pillar" / "common" / "top.sls"
    top.write_text("{{ saltenv }}:\n  '*_master': [environment]\n")
    one = {"production": "true", "cidr": "10.61.0.0/16", "subnet": "10.61.0.0/24", "source": "two"}
    two = {"production": "false", "cidr": "10.62.0.0/16", "subnet": "10.62.0.0/24", "source": "one"}
    master.pillar("one", PILLAR.format(name="one", store="vault", **one))
    master.pillar("two", PILLAR.format(name="two", store="vault", **two))
    return master


def test_without_a_master_nothing_is_done(two):
    done = told(two, "backup.run", "one")
    assert done["retcode"] == 7
    assert "no salt-master runs here" in done["error"]


def test_a_pillar_that_is_wrong(two):
    text = PILLAR.format(
        name="two", store="valt", production="false", cidr="10.62.0.0/16", subnet="10.62.0.0/24", source="one"
    )
    two.pillar("two", text)
    done = told(two, "backup.freshness", "two")
    assert done["retcode"] == 2
    assert done["problems"] == ["backup.jobs.database.store: there is no store valt; did you mean vault?"]
    assert "hunter2" not in str(done)


def test_a_restore_asks_back_and_production_wants_to_be_named(two):
    done = told(two, "backup.restore", "one", "job=database")
    assert done["retcode"] == 2
    assert done["problems"] == [
        "confirm: this overwrites data of one; to do so, add confirm=one",
        "overwrite_production: one is marked production; to overwrite it, add overwrite_production='yes, overwrite one'",
    ]
    done = told(two, "backup.restore", "two", "job=database", "confirm=one")
    assert done["problems"] == ["confirm: this overwrites data of two; to do so, add confirm=two"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["source=two", "target=one"], "one is marked production: no other environment's data ever goes there"),
        (["source=one", "target=one"], "one is marked production"),
        (["one"], "say which is which: source=prod target=test"),
        (["source=one", "target=one,two"], "one environment at a time"),
        (["source=one", "target=ONE"], "ONE: is not an environment"),
        (["source=two", "target=two"], "names one as its source (refresh.source), not two"),
        (["source=one"], "target: name one environment: target="),
        (["source=two", "target=one", "force=True"], "force: is not an argument"),
        (["source=two", "target=one", "pillar={environment: {production: false}}"], "pillar: is not an argument"),
    ],
)
def test_a_refresh_in_disguise_is_refused(two, words, said):
    done = told(two, "refresh.run", *words)
    assert done["retcode"] == 2
    assert said in done["error"]


def test_a_misspelt_argument_is_named(two):
    done = told(two, "backup.run", "one", "jobs=database")
    assert done["retcode"] == 2
    assert done["problems"] == ["jobs: is not an argument; there are job, mode, lock_wait"]


def test_a_limit_that_is_no_number_is_a_wrong_argument_and_no_defect(two):
    done = told(two, "refresh.history", "two", "limit=x")
    assert (done["retcode"], done["problems"]) == (2, ["limit: x is not a number from 0 up"])
    assert told(two, "refresh.history", "two", "limit=3")["refreshes"] == []


def orchestrated(master, name, where, **pillar):
    """What went wrong in an orchestration of this checkout, and its exit code, by state."""
    (master.folder / "srv/orch").symlink_to(CHECKOUT / "orch")
    words = ["state.orchestrate", f"orch.{name}", f"pillarenv={where}", f"pillar={json.dumps(pillar)}"]
    told = master.call(*words)["return"]
    [states] = told["data"].values()
    return told["retcode"], {state["__id__"]: state["comment"] for state in states.values() if not state["result"]}


def test_an_orchestrated_refresh_of_production_is_refused_whatever_its_pillar_says(two):
    disguise = {"source": "two", "environment": {"name": "one", "production": False}}
    retcode, wrong = orchestrated(two, "refresh", "one", **disguise)
    assert retcode != 0
    assert "one is marked production: no other environment's data ever goes there" in wrong["data"]


def test_an_orchestrated_backup_that_is_not_made_fails_the_run(two):
    retcode, wrong = orchestrated(two, "backup", "one", job="database")
    assert retcode != 0
    assert "no salt-master runs here" in wrong["backups"]
