"""A store in a bucket, held against the bucket and against what the servers' role may do in it."""

from __future__ import annotations

from typing import Any

import pytest
from support.pillar_cases import changed, pillar

from saltlick.backup.pillar import parse_backups
from saltlick.environment.pillar import parse_environment
from saltlick.errors import InvalidInput

NAME = "acme-backups"
BACKUP = {"jobs": {"files": {"directories": ["/srv/uploads"], "servers": "db", "store": "vault"}}}
PROFILE = {"kind": "instance", "name": "db-1", "override": True, "properties": {"profile": "made-by-hand"}}


def problems(store: dict[str, Any], **change: Any) -> list[str]:
    """All that is wrong with backups of prod into a bucket of its own, changed as said."""
    raw = changed(pillar("prod"), {"buckets": {"backups": {"name": NAME}}, **change})
    environment = parse_environment(raw, environment="prod")
    whole = store or {"s3": {"bucket": NAME, "prefix": "prod"}}
    try:
        stores = {"vault": {"signing_key": "sdb://secrets/signing", **whole}}
        parse_backups({"backup": BACKUP, "stores": stores}, environment)
    except InvalidInput as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("granted", [{}, {"prefix": "prod"}])
def test_a_role_that_sees_the_folder_suffices(granted: dict[str, Any]) -> None:
    assert problems({}, **{"servers.db.buckets": {NAME: granted}}) == []


def test_a_deeper_folder_is_seen_too_and_one_that_only_begins_alike_is_not() -> None:
    grant = {"servers.db.buckets": {NAME: {"prefix": "prod"}}}
    assert problems({"s3": {"bucket": NAME, "prefix": "prod/db"}}, **grant) == []
    for prefix, shown in (("production", "production"), ("", "all of it")):
        assert problems({"s3": {"bucket": NAME, "prefix": prefix}}, **grant) == [
            f"backup.jobs.files.store: servers of db see only prod/ in bucket {NAME}, and the store is {shown}"
        ]


def test_servers_without_the_right_to_store() -> None:
    declare = f"declare environment.servers.db.buckets.{NAME}"
    assert problems({}) == [f"backup.jobs.files.store: servers of db may do nothing in bucket {NAME}: {declare}"]
    assert problems({}, **{"servers.db.buckets": {NAME: {"access": "read"}}}) == [
        f"backup.jobs.files.store: servers of db may only read in bucket {NAME}: give them access: write"
    ]


@pytest.mark.parametrize(
    ("store", "change"),
    [
        ({"s3": {"bucket": NAME, "access_key": "key", "secret_key": "s3cret"}}, {}),
        ({}, {"servers.db.iam_policy": {"Version": "2012-10-17", "Statement": []}}),
        ({}, {"resources": [PROFILE]}),
    ],
)
def test_rights_of_another_kind_are_not_judged(store: dict[str, Any], change: dict[str, Any]) -> None:
    assert problems(store, **change) == []


def test_a_store_and_its_bucket_agree_on_the_key() -> None:
    secret = {"buckets": {"backups": {"name": NAME, "encryption": "aws:kms"}}, "servers.db.buckets": {NAME: {}}}
    assert problems({}, **secret) == [
        f"backup.jobs.files.store: the store has encryption AES256, and bucket {NAME} has aws:kms: make them equal"
    ]
    assert problems({"s3": {"bucket": NAME, "encryption": "aws:kms"}}, **secret) == []


def test_a_store_says_the_region_of_its_bucket() -> None:
    sydney = {
        "region": "ap-southeast-2",
        "zones": ["ap-southeast-2a", "ap-southeast-2b"],
        "servers.db.buckets": {NAME: {}},
    }
    wrong = [f"backup.jobs.files.store: bucket {NAME} is in ap-southeast-2: give the store region: ap-southeast-2"]
    assert problems({"s3": {"bucket": NAME}}, **sydney) == wrong
    assert problems({"s3": {"bucket": NAME, "region": "eu-west-1"}}, **sydney) == wrong
    assert problems({"s3": {"bucket": NAME, "region": "ap-southeast-2"}}, **sydney) == []


@pytest.mark.parametrize("name", ["Acme", "ab", "a..b", "acme_backups", "acme-"])
def test_names_that_no_bucket_has(name: str) -> None:
    assert problems({"s3": {"bucket": name}}) == [
        f"stores.vault.s3.bucket: {name} is not the name of a bucket (write it like acme-backups)"
    ]


@pytest.mark.parametrize("key", ["sdb://secrets/backups", "0123456789abcdef"])
def test_a_key_of_ones_own(key: str) -> None:
    grant: dict[str, Any] = {"servers.db.buckets": {NAME: {}}}
    assert problems({"s3": {"bucket": NAME}, "encryption_key": key}, **grant) == []


def test_a_key_that_is_too_short_is_not_shown() -> None:
    (problem,) = problems({"s3": {"bucket": NAME}, "encryption_key": "needle"})
    assert problem == "stores.vault: `encryption_key` has 6 characters: make one of 16 or more"


def test_an_rsync_store_has_no_encryption_and_says_so() -> None:
    rsync = {"address": "172.20.0.10", "module": "x", "user": "x", "password": "hunter2"}
    assert problems({"rsync": rsync, "encryption_key": "sdb://secrets/backups"}) == [
        "stores.vault: `encryption_key` is for `s3`: an rsync store keeps files as they are"
    ]
