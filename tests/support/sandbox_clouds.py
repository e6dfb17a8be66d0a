"""Small pieces of a cloud for the sandbox's unit tests."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from saltlick.sandbox.cloud import (
    SandboxBalancer,
    SandboxInstance,
    SandboxListener,
    SandboxSnapshot,
    SandboxSubnet,
    SandboxTarget,
    SandboxTargetGroup,
    SandboxVpc,
)

GROUP = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/www/g1"
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/www/0123456789abcdef"


def instance(number: int = 1, **changes: Any) -> SandboxInstance:
    given: dict[str, Any] = {
        "id": f"i-{number}",
        "account": "123456789012",
        "region": "us-east-1",
        "zone": "us-east-1a",
        "state": "running",
        "image": "ami-1",
        "type": "t3.small",
        "vpc": "vpc-a",
        "vpc_cidr": "10.1.0.0/16",
        "subnet": "subnet-a",
        "subnet_cidr": "10.1.0.0/24",
        "private_ip": f"10.1.0.{3 + number}",
        "private_dns": f"ip-10-1-0-{3 + number}.ec2.internal",
        "public_ip": None,
        "mac": "02:00:00:00:00:01",
        "tags": (("Name", f"app-{number}"),),
        "tags_in_metadata": True,
        "user_data": b"#!/bin/sh\n",
        "profile_arn": "arn:aws:iam::1:instance-profile/p",
        "role_name": "salt-master",
        "role_arn": "arn:aws:iam::1:role/salt-master",
        "security_groups": ("app",),
        "launched": datetime(2026, 1, 1, tzinfo=timezone.utc),
    }
    return SandboxInstance(**{**given, **changes})


def group(*targets: SandboxTarget, deregistered: tuple[SandboxTarget, ...] = (), **changes: Any) -> SandboxTargetGroup:
    given: dict[str, Any] = {
        "arn": GROUP,
        "name": "www",
        "protocol": "HTTP",
        "check_protocol": "HTTP",
        "check_path": "/health",
        "check_port": "traffic-port",
        "check_codes": "200",
        "interval_s": 5,
        "timeout_s": 2,
        "rise": 2,
        "fall": 2,
        "drain_s": 30,
        "targets": targets,
        "deregistered": deregistered,
    }
    return SandboxTargetGroup(**{**given, **changes})


def balancer(**changes: Any) -> SandboxBalancer:
    given: dict[str, Any] = {
        "arn": BALANCER,
        "name": "www",
        "vpc": "vpc-a",
        "subnet_cidrs": ("10.1.0.0/24", "10.1.1.0/24"),
        "internet_facing": True,
        "dns_name": "www-1.us-east-1.elb.amazonaws.com",
        "listeners": (SandboxListener(port=80, protocol="HTTP", target_group=GROUP),),
    }
    return SandboxBalancer(**{**given, **changes})


def snapshot(*instances: SandboxInstance, **changes: Any) -> SandboxSnapshot:
    given: dict[str, Any] = {
        "vpcs": (
            SandboxVpc(id="vpc-a", cidr="10.1.0.0/16", default=False),
            SandboxVpc(id="vpc-d", cidr="172.31.0.0/16", default=True),
        ),
        "subnets": (SandboxSubnet(id="subnet-a", vpc="vpc-a", cidr="10.1.0.0/24"),),
        "instances": instances,
    }
    return SandboxSnapshot(**{**given, **changes})
