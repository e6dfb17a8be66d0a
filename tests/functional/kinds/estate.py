"""One object of every kind, what can be changed of it in place, and where its making can be cut off: cases as data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from saltlick.engine.resource import Key, Ref, Resource
from saltlick.kinds import KINDS
from saltlick.kinds.security_group_rules import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

PUBLIC_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDusXfgTE4eBP50NglSzCSEGnIL6+cr6m3H6cZANOQ+P1o/W4BdtcAL3sor4iGi7SOeJgo8kweyMQrhrt6HaKGgromRiz37LQx+4YIwTIWHgUKPIw4KIJPOdBNDICRWvfJjrGDpzLSsgFOTgJCFEjFHFEYIwfVR2rfOWhIEXtRFfQSTXh4AZQxVRHiAoXrOAVJGAgzjaWYy2ALwSKKTM4HvXn0xRDMKEdNQhYvlF0ZmYtWmB2i3FjSUbqEEHpHSxkaVkdQRFy5Gh5vgBcJCAWrrAlvCEJnS8mGKyKGDbqr3ULcHh8fSfUGdgbzgYbHBMmMXVJDNOZmCbRVSXK9yTDF/"  # noqa: E501


def _(
    kind: str, name: str, /, *, environment: str = "prod", after: tuple[Key, ...] = (), **properties: Any
) -> Resource:
    return Resource(
        environment=environment,
        kind=kind,
        name=name,
        title=f"{environment}-{name}",
        properties=KINDS[kind].properties(**properties),
        after=frozenset(after),
    )


def ref(address: str, attribute: str = "id", *, environment: str = "prod") -> Ref:
    return Ref(Key(environment, address), attribute)


def policy(action: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})


def web(port: int, source: Any = "0.0.0.0/0", description: str = "") -> Rule:
    return Rule(protocol="tcp", from_port=port, to_port=port, source=source, description=description)


ESTATE = (
    _("vpc", "main", cidr="10.10.0.0/16", dns_hostnames=True),
    _("vpc", "main", environment="control", cidr="172.20.0.0/16"),
    _("route_table", "public", environment="control", vpc=ref("vpc/main", environment="control")),
    _("internet_gateway", "main", vpc=ref("vpc/main")),
    _("internet_gateway", "other", vpc=ref("vpc/main")),
    _("subnet", "a", vpc=ref("vpc/main"), cidr="10.10.0.0/24", zone="us-east-1a", map_public_ip=True),
    _("subnet", "b", vpc=ref("vpc/main"), cidr="10.10.1.0/24", zone="us-east-1b"),
    _("subnet", "c", vpc=ref("vpc/main"), cidr="10.10.2.0/24", zone="us-east-1c"),
    _("route_table", "public", vpc=ref("vpc/main")),
    _("route_table", "private", vpc=ref("vpc/main")),
    _("route", "public:0.0.0.0/0", table=ref("route_table/public"), destination="0.0.0.0/0",
      gateway=ref("internet_gateway/main")),
    _("route", "public:172.20.0.0/16", table=ref("route_table/public"), destination="172.20.0.0/16",
      peering=ref("peering/control")),
    _("route", "control.public:10.10.0.0/16", table=ref("route_table/public", environment="control"),
      destination="10.10.0.0/16", peering=ref("peering/control")),
    _("route_table_association", "a", table=ref("route_table/public"), subnet=ref("subnet/a")),
    _("elastic_ip", "nat", instance=None),
    _("elastic_ip", "app-1", instance=ref("instance/app-1"), after=(Key("prod", "internet_gateway/main"),)),
    _("nat_gateway", "az1", subnet=ref("subnet/a"), elastic_ip=ref("elastic_ip/nat"),
      after=(Key("prod", "internet_gateway/main"),)),
    _("peering", "control", vpc=ref("vpc/main"), peer_vpc=ref("vpc/main", environment="control")),
    _("security_group", "lb", vpc=ref("vpc/main"), group_name="lb", description="Visitors"),
    _("security_group", "app", vpc=ref("vpc/main"), group_name="app", description="Servers"),
    _("security_group_rules", "app", group=ref("security_group/app"),
      ingress=(web(22, "10.0.0.0/8"), web(80, ref("security_group/lb")), web(8080, ref("security_group/app"), "itself"))),
    _("image", "app", name="saltlick-test-*", owner="self"),
    _("key_pair", "deploy", public_key=PUBLIC_KEY),
    _("bucket", "backups", bucket_name="acme-backups", region="us-east-1"),
    _("iam_role", "app", role_name="prod-app", policy=policy("ec2:DescribeInstances")),
    _("iam_role", "other", role_name="prod-other", policy=policy("ec2:DescribeVpcs")),
    _("instance_profile", "app", profile_name="prod-app", role=ref("iam_role/app")),
    _("instance_profile", "other", profile_name="prod-other", role=ref("iam_role/other")),
    _("instance", "app-1", image=ref("image/app"), type="t3.small", subnet=ref("subnet/a"),
      security_groups=(ref("security_group/app"),), user_data="#!/bin/sh\necho hello\n",
      profile=ref("instance_profile/app"), key_pair=ref("key_pair/deploy", "name"), private_ip="10.10.0.10",
      root_device=ref("image/app", "root_device"), volume_gb=30),
    _("instance", "app-2", image=ref("image/app"), type="t3.small", subnet=ref("subnet/a"), public_ip=True,
      security_groups=(ref("security_group/app"), ref("security_group/lb"))),
    _("target_group", "www", group_name="prod-www", vpc=ref("vpc/main"), port=80, health_path="/health",
      drain_s=30),
    _("target_group", "api", group_name="prod-api", vpc=ref("vpc/main"), port=8000),
    _("load_balancer", "www", balancer_name="prod-www", subnets=(ref("subnet/b"), ref("subnet/a")),
      security_groups=(ref("security_group/lb"),), after=(Key("prod", "internet_gateway/main"),)),
    _("listener", "www:80", balancer=ref("load_balancer/www"), port=80, target_group=ref("target_group/www")),
    _("target_registration", "www", target_group=ref("target_group/www"), targets=(ref("instance/app-1"),), port=80),
)  # fmt: skip
BY_ADDRESS: Mapping[str, Resource] = {r.key.address: r for r in ESTATE if r.environment == "prod"}

CHANGES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "vpc/main": ({"dns_hostnames": False},),
    "internet_gateway/main": ({"vpc": ref("vpc/main", environment="control")},),
    "subnet/a": ({"map_public_ip": False},),
    "route_table/public": (),
    "route/public:0.0.0.0/0": ({"gateway": None, "nat": ref("nat_gateway/az1")},),
    "route/public:172.20.0.0/16": ({"peering": None, "gateway": ref("internet_gateway/main")},),
    "route/control.public:10.10.0.0/16": (),
    "route_table_association/a": ({"table": ref("route_table/private")},),
    "elastic_ip/nat": (),
    "elastic_ip/app-1": ({"instance": ref("instance/app-2")},),
    "nat_gateway/az1": (),
    "peering/control": (),
    "security_group/app": (),
    "security_group_rules/app": (
        {"ingress": ()},
        {"ingress": (web(443), web(80, ref("security_group/lb")))},
        {"ingress": (web(22, "10.0.0.0/8", "described"), web(8080, ref("security_group/app"), "itself"))},
        {"ingress": (Rule(protocol="112", from_port=-1, to_port=-1, source=ref("security_group/app")),)},
    ),
    "key_pair/deploy": (),
    "bucket/backups": (
        {"versioning": False},
        {"encryption": "aws:kms", "key_id": "alias/backups"},
        {"block_public": False},
        {"abort_days": 2},
        {"noncurrent_days": 90},
    ),
    "iam_role/app": ({"policy": policy("ec2:DescribeVpcs")},),
    "instance_profile/app": ({"role": ref("iam_role/other")},),
    "instance/app-1": ({"security_groups": (ref("security_group/lb"), ref("security_group/app"))},),
    "instance/app-2": ({"profile": ref("instance_profile/other")},),
    "target_group/www": ({"health_path": "/well", "health_codes": "200-299", "interval_s": 20}, {"drain_s": 60}),
    "load_balancer/www": (
        {"subnets": (ref("subnet/a"), ref("subnet/c"))},
        {"security_groups": (ref("security_group/app"),)},
    ),
    "listener/www:80": ({"target_group": ref("target_group/api")},),
    "target_registration/www": ({"targets": ()}, {"targets": (ref("instance/app-2"),)}, {"port": 8080}),
}
"""What is changed in place, case by case; none for kinds of which only the tags can be.

A server's profile is replaced, too, but moto shows its old one ever after; giving one to a server without is shown.
"""

CUT_OFF: Mapping[str, str] = {
    "bucket/backups": "put_public_access_block",
    "vpc/main": "modify_vpc_attribute",
    "internet_gateway/main": "attach_internet_gateway",
    "subnet/a": "modify_subnet_attribute",
    "elastic_ip/app-1": "associate_address",
    "target_group/www": "modify_target_group_attributes",
    "peering/control": "accept_vpc_peering_connection",
    "iam_role/app": "put_role_policy",
    "instance_profile/app": "add_role_to_instance_profile",
}
"""The call before which a create of several calls dies."""

UNTAGGED = frozenset({"route", "route_table_association", "security_group_rules", "listener", "target_registration"})
"""Kinds whose tags are not observed."""
