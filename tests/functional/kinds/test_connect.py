"""`aws.connect` with real botocore: cheap until used, no retries of its own, all pages."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from saltlick.aws.clients import CONNECTIONS

if TYPE_CHECKING:
    import pytest

    from saltlick.aws import AwsCloud

    from .conftest import Call


def test_boto3_is_not_imported_before_the_first_call() -> None:
    """Starting up is half of what a plan of nothing costs."""
    code = "import sys; from saltlick import aws, kinds; aws.connect('eu-west-1'); print('botocore' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_clients_are_made_once_with_connections_for_all_and_no_retries(client: AwsCloud) -> None:
    clients = client._sender.clients
    with ThreadPoolExecutor(8) as pool:
        made = set(map(id, pool.map(clients.of, ["ec2"] * 16)))
    assert len(made) == 1
    config = clients.of("ec2").meta.config
    assert config.max_pool_connections >= CONNECTIONS >= 50
    assert config.retries["total_max_attempts"] == 1


def test_all_pages_are_read_and_each_is_counted(cloud: AwsCloud, calls: list[Call]) -> None:
    for _ in range(3):
        cloud.call("ec2", "create_vpc", CidrBlock="10.0.0.0/16")
    calls.clear()
    whole = cloud.reading().read("ec2", "describe_vpcs", "Vpcs")
    assert len(calls) == 1
    for number in range(3):
        cloud.call("iam", "create_role", RoleName=f"r{number}", AssumeRolePolicyDocument="{}")
    calls.clear()
    roles = cloud.reading().read("iam", "list_roles", "Roles", MaxItems=2)
    assert len(roles) == 3
    assert calls == [("iam", "list_roles")] * 2
    assert len(whole) == 4  # with the default one


def test_the_endpoint_of_the_environment_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    from saltlick.aws.clients import Clients

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    assert Clients("eu-west-1").of("iam").meta.endpoint_url == "http://127.0.0.1:9"


def test_buckets_are_in_the_path_where_the_endpoint_is_not_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another service has no host name for each bucket."""
    from saltlick.aws.clients import Clients

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws.example.internal")
    other = Clients("eu-west-1").of("s3")
    where = {"ClientMethod": "list_objects_v2", "Params": {"Bucket": "acme-backups"}}
    assert other.generate_presigned_url(**where).startswith("http://aws.example.internal/acme-backups?")
    assert other.meta.config.max_pool_connections == CONNECTIONS
    assert other.meta.config.retries["total_max_attempts"] == 1
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    aws = Clients("eu-west-1").of("s3")
    assert aws.generate_presigned_url(**where).startswith("https://acme-backups.s3.")
