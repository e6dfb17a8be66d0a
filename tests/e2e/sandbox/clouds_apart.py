"""What the sandbox's own tests build, and how they wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

IMAGE = "ami-0d12d12d12d12d12d"
BOOT_S = 180
T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """A VPC with one subnet."""

    vpc: str
    subnet: str
    table: str
    cidr: str


def site(ec2: Any, prefix: str, zone: str = "us-east-1a") -> Site:
    vpc = ec2.create_vpc(CidrBlock=f"{prefix}.0.0/16")["Vpc"]["VpcId"]
    subnet = subnet_of(ec2, vpc, f"{prefix}.0.0/24", zone)
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    return Site(vpc, subnet, tables[0]["RouteTableId"], f"{prefix}.0.0/16")


def subnet_of(ec2: Any, vpc: str, cidr: str, zone: str) -> str:
    answer = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)
    subnet: str = answer["Subnet"]["SubnetId"]
    return subnet


def boot(ec2: Any, subnet: str, name: str, user_data: str = "", **more: Any) -> dict[str, Any]:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
    answer = ec2.run_instances(
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.small",
        SubnetId=subnet,
        UserData=user_data,
        TagSpecifications=tags,
        MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
        **more,
    )
    instance: dict[str, Any] = answer["Instances"][0]
    return instance


def console(ec2: Any, instance_id: str) -> str:
    output: str = ec2.get_console_output(InstanceId=instance_id, Latest=True).get("Output", "")
    return output


def eventually(look: Callable[[], T], good: Callable[[T], bool], timeout_s: float = BOOT_S) -> T:
    """Look until it is good, or fail with what was seen last."""
    deadline = time.monotonic() + timeout_s
    while True:
        seen = look()
        if good(seen):
            return seen
        assert time.monotonic() < deadline, f"not so after {timeout_s} s; last seen: {seen}"
        time.sleep(0.3)
