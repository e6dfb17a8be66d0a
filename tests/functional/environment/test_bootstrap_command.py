"""`saltlick bootstrap` as typed, against a moto: builds, changes nothing when repeated, and exits by what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from click.testing import CliRunner, Result

from bench import moto_server
from saltlick.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

PILLAR = Path(__file__).resolve().parents[3] / "pillar"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server.in_this_process() as address:
        yield address


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, moto: str) -> str:
    """No credentials from anywhere; AWS is the moto."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    return moto


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch, bare: str) -> str:
    """The same with credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return bare


def bootstrap(*more: str) -> Result:
    return CliRunner().invoke(main, ["bootstrap", "--pillar", str(PILLAR), *more])


def vpcs(endpoint: str) -> list[str]:
    ec2 = boto3.client("ec2", endpoint_url=endpoint, region_name="us-east-1")
    found = [tag["Value"] for vpc in ec2.describe_vpcs()["Vpcs"] for tag in vpc.get("Tags", ()) if tag["Key"] == "Name"]
    return sorted(found)


def test_without_credentials_it_ends_with_one_message_and_exit_code_2(bare):
    done = bootstrap()
    assert done.exit_code == 2
    assert done.output.count("saltlick: ") == 1
    assert "NoCredentialsError" in done.output
    assert "Traceback" not in done.output


def test_an_unknown_environment_exits_2_and_names_those_there_are(keyed):
    done = bootstrap("--environment", "contrl")
    assert done.exit_code == 2
    assert "there are: control, prod, test" in done.output


def test_shows_builds_waits_and_again_changes_nothing(keyed):
    """moto has no console of ours, so the master is never heard: the wait ends with its last lines and exit code 4."""
    plan = bootstrap("--test")
    assert (plan.exit_code, vpcs(keyed)) == (0, [])
    assert "+ 12 to create" in plan.output

    first = bootstrap("--deadline", "1")
    assert first.exit_code == 4
    assert "12 created, 0 updated" in first.output
    assert "salt-master (i-" in first.output
    assert "is not up after 1 s" in first.output
    assert vpcs(keyed) == ["control-vpc"]

    again = bootstrap("--deadline", "1")
    assert "0 created, 0 updated, 0 replaced, 0 deleted, 12 unchanged" in again.output
    assert vpcs(keyed) == ["control-vpc"]


def test_an_aws_that_cannot_be_reached_is_said_so(keyed, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = bootstrap()
    assert done.exit_code == 4
    assert "EndpointConnectionError" in done.output
    assert "Traceback" not in done.output
