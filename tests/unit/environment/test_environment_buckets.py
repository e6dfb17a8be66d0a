"""Buckets in the short form, and what a group's role may do in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.pillar_cases import changed, pillar

from saltlick.environment.pillar import Boot, expand_environment, parse_environment

KEY = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"


def expanded(name: str = "prod", **change: Any) -> dict[str, Any]:
    """The resources of an environment of the reference estate, changed as said, by address."""
    raw = {each: pillar(each) for each in ("control", "prod", "test")}
    raw[name] = changed(raw[name], change)
    environments = {each: parse_environment(said, environment=each) for each, said in raw.items()}
    boot = Boot(master_finger="ab:cd")
    return {r.key.address: r for r in expand_environment(environments[name], environments, boot)}


def statements(group: str, **change: Any) -> list[dict[str, Any]]:
    return json.loads(expanded(**change)[f"iam_role/{group}"].properties.policy)["Statement"]


def actions(found: list[dict[str, Any]]) -> set[str]:
    return {action for statement in found for action in statement["Action"]}


def test_a_bucket_has_its_region_and_what_the_pillar_says() -> None:
    said = {"name": "acme-backups", "noncurrent_days": 90, "abort_days": 3, "protected": True}
    bucket = expanded(buckets={"backups": said})["bucket/backups"]
    assert bucket.properties.bucket_name == bucket.title == "acme-backups"
    assert bucket.properties.region == "us-east-1"
    assert (bucket.properties.noncurrent_days, bucket.properties.abort_days) == (90, 3)
    assert bucket.properties.versioning is bucket.properties.block_public is True
    assert bucket.protected


def test_servers_see_and_store_in_their_own_folder_only() -> None:
    own: dict[str, Any] = {"servers.db.buckets": {"acme-backups": {"prefix": "prod"}}}
    listed, stored = statements("db", **own)
    assert listed == {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": "arn:aws:s3:::acme-backups",
        "Condition": {"StringLike": {"s3:prefix": ["prod", "prod/*"]}},
    }
    assert stored["Resource"] == "arn:aws:s3:::acme-backups/prod/*"
    assert {"s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"} <= set(stored["Action"])
    resources = expanded(**own)
    assert resources["instance/db-1"].properties.profile.key.address == "instance_profile/db"
    assert resources["instance/app-1"].properties.profile is None


@pytest.mark.parametrize("access", ["write", "read"])
def test_no_server_may_delete_a_version_or_change_a_bucket(access: str) -> None:
    allowed = actions(statements("db", **{"servers.db.buckets": {"acme-backups": {"access": access}}}))
    assert not {action for action in allowed if "Version" in action or "Bucket" in action} - {"s3:ListBucket"}
    assert "s3:*" not in allowed


def test_who_reads_only_reads() -> None:
    found = statements("db", **{"servers.db.buckets": {"acme-backups": {"access": "read", "kms_key": KEY}}})
    assert actions(found) == {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}
    assert found[-1]["Resource"] == KEY


def test_who_writes_with_a_key_may_use_it() -> None:
    found = statements("db", **{"servers.db.buckets": {"acme-backups": {"kms_key": KEY}}})
    assert found[-1] == {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": KEY}
    assert found[1]["Resource"] == "arn:aws:s3:::acme-backups/*"
    assert "Condition" not in found[0]


@pytest.mark.parametrize(
    "own",
    [
        {"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": "*"},
        [{"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": "*"}],
    ],
)
def test_a_policy_of_its_own_stays_beside_its_buckets(own: Any) -> None:
    policy = {"Version": "2012-10-17", "Statement": own}
    found = statements("db", **{"servers.db.iam_policy": policy, "servers.db.buckets": {"acme-backups": {}}})
    assert actions(found[:1]) == {"ssm:GetParameter"}
    assert "s3:PutObject" in actions(found)
    assert pillar("prod")["environment"]["servers"]["db"].get("iam_policy") is None


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-west-1", "aws")]
)
def test_other_parts_of_aws_have_names_of_their_own(region: str, partition: str) -> None:
    zones = {"region": region, "zones": [f"{region}a", f"{region}b"]}
    found = statements("db", **zones, **{"servers.db.buckets": {"acme-backups": {}}})
    assert found[0]["Resource"] == f"arn:{partition}:s3:::acme-backups"
