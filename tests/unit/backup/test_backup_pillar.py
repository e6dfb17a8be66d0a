"""Backups and refreshes: what is wrong is said all at once, with its path, and production gets nobody's data."""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonschema
import pytest
import yaml
from support.pillar_cases import cases, changed, pillar, spot

from saltlick.backup.pillar import BackupKind, parse_backups
from saltlick.environment.pillar import Environment, parse_environment
from saltlick.errors import InvalidInput
from saltlick.reference.json_schema import schema
from saltlick.refresh.pillar import parse_refresh

STORES = {
    "vault": {
        "rsync": {"address": "172.20.0.10", "module": "prod-backups", "user": "prod", "password": "x"},
        "signing_key": "sdb://secrets/signing",
    },
    "offsite": {
        "s3": {"bucket": "acme-backups", "prefix": "prod", "encryption": "aws:kms", "key_id": "alias/backups"},
        "signing_key": "sdb://secrets/signing",
    },
}
BACKUP = yaml.safe_load("""
jobs:
  database:
    postgresql: {max_rate_mb: 50}
    servers: db
    store: vault
    full: {cron: '15 2 * * *'}
    incremental: {every_s: 300}
    splay_s: 60
    drill:
      environment: test
      servers: db
      store: prod-vault
      at: {cron: '30 4 * * 0'}
      checks: [{name: notes, database: app, query: select count(*) from notes, at_least: 1}]
  files: {directories: [/srv/uploads], servers: app, store: offsite, full: {every_s: 3600}}
""")
REFRESH = yaml.safe_load("""
source: prod
job: database
store: prod-vault
servers: db
mask: [{database: app, sql: update people set name = 'x'}]
checks: [{name: people, database: app, query: select 1}]
application: {servers: app, stop: [service.stop app], start: [service.start app]}
""")


@pytest.fixture(scope="module")
def prod():
    return parse_environment(
        changed(pillar("prod"), {"servers.app.buckets": {"acme-backups": {"prefix": "prod"}}}), environment="prod"
    )


@pytest.fixture(scope="module")
def test():
    return parse_environment(pillar("test"), environment="test")


def made(root, whole, case):
    pillars = {root: copy.deepcopy(whole)}
    for path, value in case.get("change", {}).items():
        inside, last = spot(pillars[root], path)
        inside[last] = copy.deepcopy(value)
    for path in case.get("without", ()):
        inside, last = spot(pillars[root], path)
        del inside[last]
    return pillars


def test_backups_are_read(prod):
    jobs = parse_backups({"backup": BACKUP, "stores": STORES}, prod).jobs
    assert jobs["database"].kind is BackupKind.POSTGRESQL
    assert jobs["database"].options == {"max_rate_mb": 50, "any_moment": True}
    assert jobs["files"].options == {"directories": ["/srv/uploads"]}
    assert jobs["files"].keep.daily == 7


def test_folders_whose_names_look_alike_are_folders_of_their_own(prod):
    folders = ["/srv/a/b", "/srv/a-b", "/srv/a_b", "/srv/a.restored"]
    backup = made("backup", BACKUP, {"change": {"jobs.files.directories": folders}})
    assert parse_backups({**backup, "stores": STORES}, prod).jobs["files"].options == {"directories": folders}


@pytest.mark.parametrize("case", cases("backup"), ids=lambda case: case["says"])
def test_backups_that_are_wrong(case, prod):
    with pytest.raises(InvalidInput) as caught:
        parse_backups({**made("backup", BACKUP, case), "stores": {**STORES, **case.get("stores", {})}}, prod)
    assert [str(problem) for problem in caught.value.problems] == case["problems"]


@pytest.mark.parametrize("case", cases("refresh"), ids=lambda case: case["says"])
def test_refreshes_that_are_wrong(case, test):
    with pytest.raises(InvalidInput) as caught:
        parse_refresh(made("refresh", REFRESH, case), test)
    assert [str(problem) for problem in caught.value.problems] == case["problems"]


def test_no_message_shows_pydantics_own_words():
    jargon = re.compile(r"pydantic|validat|Input should|value_error|NoneType|dict\b|tuple")
    listed = [*cases("backup"), *cases("refresh")]
    assert not [line for case in listed for line in case["problems"] if jargon.search(line)]


def test_production_gets_nobodys_data_whatever_its_pillar_says(prod):
    with pytest.raises(InvalidInput, match="prod is marked production: no other environment's data ever goes there"):
        parse_refresh({"refresh": {**REFRESH, "source": "test"}}, prod)


def test_a_pillar_without_any(prod, test):
    with pytest.raises(InvalidInput, match="has no backups"):
        parse_backups({}, prod)
    with pytest.raises(InvalidInput, match="has no `refresh`"):
        parse_refresh({}, test)


def test_no_secret_is_shown(prod):
    stores: dict[str, Any] = copy.deepcopy(STORES)
    stores["vault"]["rsync"]["password"] = ["hunter2"]
    with pytest.raises(InvalidInput) as caught:
        parse_backups({"backup": BACKUP, "stores": stores}, prod)
    assert "hunter2" not in str(caught.value)


def test_the_schema_takes_what_the_models_take():
    validator = jsonschema.Draft202012Validator(schema())
    assert not list(validator.iter_errors({"backup": BACKUP, "stores": STORES, "refresh": REFRESH}))
    assert list(validator.iter_errors({"backup": {"jobs": {"database": {"servers": "db", "stor": "vault"}}}}))
    assert list(validator.iter_errors({"stores": {"vault": {"rsync": {"adress": "172.20.0.10", "module": "prod"}}}}))


def test_production_stores_nothing_unsigned(prod: Environment) -> None:
    stores: dict[str, Any] = copy.deepcopy(STORES)
    del stores["vault"]["signing_key"]
    with pytest.raises(InvalidInput) as caught:
        parse_backups({"backup": BACKUP, "stores": stores}, prod)
    message = "whoever writes into store vault could make a backup that is restored: give it a signing_key"
    found = [str(problem) for problem in caught.value.problems]
    assert found
    assert all(line.endswith(message) for line in found)
