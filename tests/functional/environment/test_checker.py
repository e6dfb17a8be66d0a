"""The checker itself: it passes on an estate that somebody else built, and sees each kind of damage done to it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from support import checker
from support.farm import ROOT

from bench.servers import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def built() -> Iterator[None]:
    """A moto server with the reference estate on it, built by the hand-written script, our process on it."""
    with running(latency_ms=0) as servers, pytest.MonkeyPatch.context() as patch:
        for name, value in servers.environ(direct=True).items():
            patch.setenv(name, value)
        script = [sys.executable, "-m", "bench.practical_limit", "create"]
        subprocess.run(script, cwd=ROOT, env=dict(os.environ), check=True)
        yield


def one(kind: str, title: str, environment: str = "prod") -> str:
    """The id of the object of that name."""
    items = checker.Account().items[kind]
    (item,) = [
        item
        for item in items
        if checker.name(item) == title and checker.tags_of(item).get("saltlick:environment") == environment
    ]
    return str(item["_id"])


def test_an_exact_estate_has_no_problems(built: None) -> None:
    assert checker.problems() == []
    assert len(checker.leftovers()) > 60


def ec2() -> Any:
    return boto3.client("ec2")


def close_port() -> None:
    rules = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2().revoke_security_group_ingress(GroupId=one("sg", "lb"), IpPermissions=rules)


def close_vrrp() -> None:
    groups = ec2().describe_security_groups(GroupIds=[one("sg", "db", "test")])["SecurityGroups"]
    rules = [rule for rule in groups[0]["IpPermissions"] if rule["IpProtocol"] == "112"]
    ec2().revoke_security_group_ingress(GroupId=one("sg", "db", "test"), IpPermissions=rules)


def tag_away() -> None:
    ec2().delete_tags(Resources=[one("subnet", "test-public-az1-subnet", "test")], Tags=[{"Key": "saltlick:address"}])


def orphan() -> None:
    ec2().allocate_address(Domain="vpc")


def duplicate() -> None:
    tags = [
        {"Key": "Name", "Value": "prod-public-az1-subnet"},
        {"Key": "saltlick:environment", "Value": "prod"},
        {"Key": "saltlick:address", "Value": "subnet/public-az1"},
    ]
    ec2().create_subnet(
        VpcId=one("vpc", "prod-vpc"),
        CidrBlock="10.10.200.0/24",
        TagSpecifications=[{"ResourceType": "subnet", "Tags": tags}],
    )


def lose_route() -> None:
    table = one("rtb", "control-public-rtb", "control")
    ec2().delete_route(RouteTableId=table, DestinationCidrBlock="10.10.0.0/16")


def deregister() -> None:
    elb = boto3.client("elbv2")
    elb.deregister_targets(
        TargetGroupArn=one("tg", "test-www", "test"),
        Targets=[{"Id": one("instance", "test-app-1", "test"), "Port": 80}],
    )


def terminate() -> None:
    ec2().terminate_instances(InstanceIds=[one("instance", "prod-db-2")])


DAMAGE: list[tuple[Callable[[], None], str]] = [
    (close_port, "prod lb: rules"),
    (close_vrrp, "test db: rules"),
    (tag_away, "subnet test-public-az1-subnet of test: address tag"),
    (orphan, "eip (no name)"),
    (duplicate, "subnet prod-public-az1-subnet of prod: found 2"),
    (lose_route, "control-public-rtb: routes"),
    (deregister, "test-www: targets"),
    (terminate, "instance prod-db-2 of prod: found 0"),
]


def test_each_damage_is_seen(built: None) -> None:
    """One after the other on the same estate: each adds its own line."""
    for damage, line in DAMAGE:
        before = set(checker.problems())
        damage()
        fresh = [problem for problem in checker.problems() if problem not in before]
        assert any(problem.startswith(line) for problem in fresh), (damage.__name__, fresh)
