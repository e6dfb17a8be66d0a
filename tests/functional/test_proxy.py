"""The instrument itself: the proxy counts what passes, and each fault does to AWS and to the caller what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from bench.servers import Servers, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with running(latency_ms=0) as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.environ().items():
            patch.setenv(name, value)
        yield found


@pytest.fixture
def ec2(servers: Servers) -> Any:
    """A client through the proxy, on an account without VPCs of ours, that repeats nothing."""
    servers.reset_aws()
    servers.reset(latency_ms=0)
    return boto3.client("ec2", config=Config(retries={"total_max_attempts": 1}))


def vpcs(ec2: Any) -> int:
    return sum(not vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"])


def test_calls_are_counted_by_operation(servers: Servers, ec2: Any) -> None:
    ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert vpcs(ec2) == 1
    stats = servers.stats()
    assert stats["by_operation"] == {"ec2:CreateVpc": 1, "ec2:DescribeVpcs": 1}
    assert (stats["calls"], stats["mutating"], stats["peak"]) == (2, 1, 1)


def test_a_lost_answer_was_carried_out(servers: Servers, ec2: Any) -> None:
    servers.reset(latency_ms=0, lost_rate=1.0)
    with pytest.raises(ConnectionClosedError):
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert servers.stats()["lost"] == 1
    servers.reset(latency_ms=0)
    assert vpcs(ec2) == 1


def test_a_500_was_carried_out(servers: Servers, ec2: Any) -> None:
    servers.reset(latency_ms=0, late_error_rate=1.0)
    with pytest.raises(ClientError, match="InternalError"):
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert servers.stats()["failed"] == 1
    servers.reset(latency_ms=0)
    assert vpcs(ec2) == 1


def test_a_throttled_call_was_not(servers: Servers, ec2: Any) -> None:
    servers.reset(latency_ms=0, throttle_rate=1.0)
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert servers.stats()["throttled"] == 1
    servers.reset(latency_ms=0)
    assert vpcs(ec2) == 0
