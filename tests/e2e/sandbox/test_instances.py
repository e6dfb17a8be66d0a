"""Instances that boot: user data, console, metadata, names, the life cycle; and what passes between two VPCs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from e2e.sandbox.clouds_apart import Site, boot, console, eventually, site

from saltlick.sandbox.control import Sandbox

USER_DATA = """\
#!/bin/sh
echo "first boot of $(hostname) at $(hostname -I)" >/dev/console
"""


@dataclass(frozen=True)
class Pair:
    """Two VPCs with an instance each, both booted."""

    a: Site
    b: Site
    one: dict[str, Any]
    two: dict[str, Any]


@pytest.fixture(scope="module")
def ec2(aws: Any) -> Any:
    return aws("ec2")


@pytest.fixture(scope="module")
def pair(ec2: Any, sandbox: Sandbox) -> Pair:
    # A first VPC, so that our rules stand before Docker puts those of the next networks on top of them.
    first = site(ec2, "10.200").vpc
    eventually(lambda: sandbox.status()["networks"], lambda networks: first in networks, 30)
    a, b = site(ec2, "10.201"), site(ec2, "10.202")
    booted = boot(ec2, a.subnet, "pair-one", USER_DATA), boot(ec2, b.subnet, "pair-two", USER_DATA)
    for instance in booted:
        eventually(partial(console, ec2, instance["InstanceId"]), lambda text: "first boot of" in text)
    return Pair(a, b, *booted)


def addresses(sandbox: Sandbox, instance: str) -> str:
    return sandbox.run(instance, ["hostname", "-I"]).stdout.strip()


def test_user_data_ran_and_the_console_shows_it(ec2: Any, pair: Pair) -> None:
    for instance in (pair.one, pair.two):
        address = instance["PrivateIpAddress"]
        host = f"ip-{address.replace('.', '-')}"
        assert f"first boot of {host} at {address}" in console(ec2, instance["InstanceId"])


def test_an_instance_has_the_address_that_the_api_reports(sandbox: Sandbox, pair: Pair) -> None:
    assert addresses(sandbox, "pair-one") == pair.one["PrivateIpAddress"]
    assert addresses(sandbox, pair.two["InstanceId"]) == pair.two["PrivateIpAddress"]


def test_metadata_needs_a_token_and_tells_each_instance_of_itself(sandbox: Sandbox, pair: Pair) -> None:
    script = """
        base=http://169.254.169.254/latest
        curl -s -o /dev/null -w '%{http_code} ' $base/meta-data/instance-id
        token=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token)
        curl -s -H "X-aws-ec2-metadata-token: $token" $base/meta-data/instance-id; echo -n ' '
        curl -s -H "X-aws-ec2-metadata-token: $token" $base/meta-data/tags/instance/Name
    """
    assert sandbox.run("pair-one", ["sh", "-c", script]).stdout == f"401 {pair.one['InstanceId']} pair-one"
    assert sandbox.run("pair-two", ["sh", "-c", script]).stdout == f"401 {pair.two['InstanceId']} pair-two"


def test_an_instance_reaches_the_api_and_the_repositories_by_name(sandbox: Sandbox, pair: Pair) -> None:
    scope = "Credential=x/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=x"
    question = "Action=DescribeInstances&Version=2016-11-15"
    ask = f"curl -s -H 'Authorization: AWS4-HMAC-SHA256 {scope}' -d '{question}' http://aws.saltlick.internal/"
    seen = sandbox.run("pair-one", ["sh", "-c", ask])
    assert pair.one["InstanceId"] in seen.stdout, seen
    assert pair.two["InstanceId"] in seen.stdout
    clone = "git clone -q http://git.saltlick.internal/saltlick.git /tmp/c && git -C /tmp/c rev-parse HEAD"
    cloned = sandbox.run("pair-one", ["sh", "-c", clone])
    assert cloned.returncode == 0, cloned.stderr
    assert (sandbox.settings.git_root / "saltlick.git/info/refs").read_text().find(cloned.stdout.strip()) >= 0


def test_a_roles_credentials_are_known_to_the_api(aws: Any, ec2: Any, sandbox: Sandbox, pair: Pair) -> None:
    iam = aws("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.create_role(RoleName="tested", AssumeRolePolicyDocument=trust)
    iam.create_instance_profile(InstanceProfileName="tested")
    iam.add_role_to_instance_profile(InstanceProfileName="tested", RoleName="tested")
    ec2.associate_iam_instance_profile(IamInstanceProfile={"Name": "tested"}, InstanceId=pair.two["InstanceId"])
    script = """
        base=http://169.254.169.254/latest
        token=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token)
        curl -s -H "X-aws-ec2-metadata-token: $token" $base/meta-data/iam/security-credentials/tested
    """
    given = eventually(lambda: sandbox.run("pair-two", ["sh", "-c", script]).stdout, lambda text: "Token" in text, 10)
    keys = json.loads(given)
    signed = f"Authorization: AWS4-HMAC-SHA256 Credential={keys['AccessKeyId']}/20260101/us-east-1/sts/aws4_request"
    form = "Action=GetCallerIdentity&Version=2011-06-15"
    asked = sandbox.run("pair-two", ["curl", "-s", "-H", signed, "-d", form, "http://aws.saltlick.internal/"]).stdout
    assert f":assumed-role/tested/{pair.two['InstanceId']}</Arn>" in asked


def pings(sandbox: Sandbox, pair: Pair) -> bool:
    done = sandbox.run("pair-one", ["ping", "-c1", "-W1", pair.two["PrivateIpAddress"]])
    return done.returncode == 0


def test_packets_pass_between_vpcs_only_while_peered_and_routed_on_both_sides(
    ec2: Any, sandbox: Sandbox, pair: Pair
) -> None:
    def becomes(wanted: bool) -> None:
        eventually(lambda: pings(sandbox, pair), lambda seen: seen is wanted, 15)

    def stays_closed() -> None:
        eventually(lambda: sandbox.status()["passages"], lambda passages: passages == [], 5)
        assert not pings(sandbox, pair)

    assert not pings(sandbox, pair)
    request = ec2.create_vpc_peering_connection(VpcId=pair.a.vpc, PeerVpcId=pair.b.vpc)
    peering = request["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    there = {"RouteTableId": pair.a.table, "DestinationCidrBlock": pair.b.cidr}
    back = {"RouteTableId": pair.b.table, "DestinationCidrBlock": pair.a.cidr}
    ec2.create_route(**there, VpcPeeringConnectionId=peering)
    ec2.create_route(**back, VpcPeeringConnectionId=peering)
    stays_closed()  # not accepted yet
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    becomes(True)
    seen = sandbox.run("pair-two", ["sh", "-c", "ip neigh >/dev/null; cat /proc/net/arp"])
    assert seen.returncode == 0
    ec2.delete_route(**back)
    becomes(False)
    ec2.create_route(**back, VpcPeeringConnectionId=peering)
    becomes(True)
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering)
    becomes(False)


def test_a_peer_sees_the_real_source_address(ec2: Any, sandbox: Sandbox, pair: Pair) -> None:
    request = ec2.create_vpc_peering_connection(VpcId=pair.a.vpc, PeerVpcId=pair.b.vpc)
    peering = request["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    for table, cidr in ((pair.a.table, pair.b.cidr), (pair.b.table, pair.a.cidr)):
        # The routes of the deleted peering are still there, leading nowhere, as on AWS.
        routes = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
        known = any(route.get("DestinationCidrBlock") == cidr for route in routes)
        change = ec2.replace_route if known else ec2.create_route
        change(RouteTableId=table, DestinationCidrBlock=cidr, VpcPeeringConnectionId=peering)
    eventually(lambda: pings(sandbox, pair), bool, 15)
    listen = (
        "import socket; s = socket.create_server(('', 7000)); s.settimeout(20); print(s.accept()[1][0], flush=True)"
    )
    sandbox.run(
        "pair-two",
        ["systemd-run", "-q", "--unit=listen", "-p", "StandardOutput=file:/root/peer", "python3", "-c", listen],
    )
    knock = (
        f"for n in 1 2 3 4 5 6 7 8 9 10; do echo >/dev/tcp/{pair.two['PrivateIpAddress']}/7000 && exit; sleep 1; done"
    )
    sandbox.run("pair-one", ["bash", "-c", knock])
    heard = eventually(lambda: sandbox.run("pair-two", ["cat", "/root/peer"]).stdout.strip(), bool, 10)
    assert heard == pair.one["PrivateIpAddress"]


def test_stop_start_reboot_terminate(ec2: Any, sandbox: Sandbox, pair: Pair) -> None:
    instance = boot(ec2, pair.a.subnet, "short-lived", USER_DATA)
    name = instance["InstanceId"]
    eventually(lambda: console(ec2, name), lambda text: "first boot of" in text)
    sandbox.run(name, ["sh", "-c", "echo kept > /root/file"])

    def is_container(state: str) -> None:
        find = {i["id"]: i["container"] for i in sandbox.status()["instances"]}.get
        eventually(
            lambda: {i["id"]: i["container"] for i in sandbox.status()["instances"]}.get(name), lambda s: s == state, 60
        )
        assert find(name)

    ec2.stop_instances(InstanceIds=[name])
    is_container("stopped")
    ec2.start_instances(InstanceIds=[name])
    is_container("running")
    assert sandbox.run(name, ["cat", "/root/file"]).stdout == "kept\n"
    assert addresses(sandbox, name) == instance["PrivateIpAddress"]

    before = sandbox.run(name, ["stat", "-c", "%Y", "/proc/1"]).stdout
    ec2.reboot_instances(InstanceIds=[name])
    eventually(
        lambda: sandbox.run(name, ["stat", "-c", "%Y", "/proc/1"]).stdout, lambda now: bool(now) and now != before, 60
    )

    ec2.terminate_instances(InstanceIds=[name])
    is_container("none")
    assert "first boot of" in console(ec2, name)  # AWS keeps the console of a terminated instance for a while


def test_an_instance_that_switches_itself_off_is_stopped_for_aws_too(ec2: Any, sandbox: Sandbox, pair: Pair) -> None:
    instance = boot(ec2, pair.a.subnet, "tired")["InstanceId"]
    eventually(
        lambda: sandbox.status()["instances"],
        lambda all_: any(i["id"] == instance and i["container"] == "running" for i in all_),
        60,
    )
    eventually(lambda: sandbox.run(instance, ["systemctl", "is-system-running", "--wait"]).stdout, bool, 120)
    sandbox.run(instance, ["systemctl", "poweroff", "--no-block"])

    def state() -> str:
        answer = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return str(answer["State"]["Name"])

    eventually(state, lambda seen: seen == "stopped", 60)
    ec2.terminate_instances(InstanceIds=[instance])
