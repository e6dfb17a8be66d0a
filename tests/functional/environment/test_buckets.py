"""An environment with a bucket, by the operator's commands: built, checked for drift, and outlived by its backups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from support.salt_master import REGION
from support.two_environments import orchestrated

if TYPE_CHECKING:
    from support.salt_master import Master

pytestmark = pytest.mark.timeout(300)

PILLAR = """
environment:
  name: {name}
  region: us-east-1
  cidr: 10.63.0.0/16
  zones: [us-east-1a]
  buckets:
    backups: {{name: acme-{name}-backups}}
"""


@pytest.fixture
def s3(moto: str) -> Any:
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    return session.client("s3", endpoint_url=moto)


def built(master: Master, name: str) -> str:
    master.pillar(name, PILLAR.format(name=name))
    applied = master.call("environment.apply", name)["return"]
    assert applied["retcode"] == 0, applied
    return f"acme-{name}-backups"


def test_built_and_brought_back_after_drift(master: Master, s3: Any) -> None:
    bucket = built(master, "drifting")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert master.call("environment.drift", "drifting")["return"]["drifted"] is False
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    drifted = master.call("environment.drift", "drifting")["return"]
    assert [action["address"] for action in drifted["actions"]] == ["drifting:bucket/backups"]
    assert master.call("environment.apply", "drifting")["return"]["counts"]["update"] == 1
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert master.call("environment.destroy", "drifting", "confirm=drifting")["return"]["retcode"] == 0
    assert bucket not in [each["Name"] for each in s3.list_buckets()["Buckets"]]


def test_backups_outlive_their_environment(master: Master, s3: Any) -> None:
    bucket = built(master, "gone")
    s3.put_object(Bucket=bucket, Key="gone/database/x", Body=b"data")
    refused = master.call("environment.destroy", "gone", "confirm=gone")["return"]
    assert refused["retcode"] == 2
    assert f"gone:bucket/backups: bucket {bucket} is not empty" in refused["error"]
    assert "keep=bucket/backups" in refused["error"]
    assert len(master.call("environment.show", "gone")["return"]["resources"]) == 2  # the VPC, too: nothing was touched
    kept = master.call("environment.destroy", "gone", "confirm=gone", "keep=bucket/backups")["return"]
    assert kept["retcode"] == 0
    assert kept["kept"] == ["gone:bucket/backups"]
    assert list(master.call("environment.show", "gone")["return"]["resources"]) == ["gone:bucket/backups"]
    assert s3.get_object(Bucket=bucket, Key="gone/database/x")["Body"].read() == b"data"
    again = master.call("environment.apply", "gone")["return"]
    assert {outcome["address"]: outcome["action"] for outcome in again["outcomes"]}["gone:bucket/backups"] == "keep"


def test_the_orchestration_keeps_it_too(master: Master, s3: Any) -> None:
    bucket = built(master, "orchestrated")
    s3.put_object(Bucket=bucket, Key="x", Body=b"data")
    code, failed = orchestrated(master, "destroy-environment", "orchestrated", confirm="orchestrated")
    assert code
    assert f"bucket {bucket} is not empty" in next(iter(failed.values()))
    master.folder.joinpath("srv/orch").unlink()
    words = {"confirm": "orchestrated", "keep": "bucket/backups"}
    code, failed = orchestrated(master, "destroy-environment", "orchestrated", **words)
    assert (code, failed) == (0, {})
    assert list(master.call("environment.show", "orchestrated")["return"]["resources"]) == [
        "orchestrated:bucket/backups"
    ]
