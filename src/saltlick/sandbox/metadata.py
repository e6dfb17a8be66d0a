"""The instance metadata tree of one instance. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Union

from saltlick.sandbox.cloud import SandboxInstance

Tree = Mapping[str, Union[str, "Tree"]]


def tree(instance: SandboxInstance, credentials: Callable[[SandboxInstance], Mapping[str, str]]) -> Tree:
    """What stands below /<version>/meta-data/. `credentials` is asked only when the role's leaf is."""
    host = instance.private_dns
    content: dict[str, str | Tree] = {
        "ami-id": instance.image,
        "ami-launch-index": "0",
        "ami-manifest-path": "(unknown)",
        "block-device-mapping": {"ami": "/dev/xvda", "root": "/dev/xvda"},
        "hostname": host,
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": "on-demand",
        "instance-type": instance.type,
        "local-hostname": host,
        "local-ipv4": instance.private_ip,
        "mac": instance.mac,
        "network": {"interfaces": {"macs": {instance.mac: _interface(instance)}}},
        "placement": {"availability-zone": instance.zone, "region": instance.region},
        "reservation-id": "r-" + instance.id[2:],
        "security-groups": "\n".join(instance.security_groups),
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if instance.public_ip:
        content["public-ipv4"] = instance.public_ip
    if instance.tags_in_metadata:
        content["tags"] = {"instance": dict(instance.tags)}
    if instance.profile_arn:
        content["iam"] = _iam(instance, credentials)
    return content


def _interface(instance: SandboxInstance) -> Tree:
    return {
        "device-number": "0",
        "local-hostname": instance.private_dns,
        "local-ipv4s": instance.private_ip,
        "mac": instance.mac,
        "owner-id": instance.account,
        "security-groups": "\n".join(instance.security_groups),
        "subnet-id": instance.subnet,
        "subnet-ipv4-cidr-block": instance.subnet_cidr,
        "vpc-id": instance.vpc,
        "vpc-ipv4-cidr-block": instance.vpc_cidr,
        "vpc-ipv4-cidr-blocks": instance.vpc_cidr,
    }


def _iam(instance: SandboxInstance, credentials: Callable[[SandboxInstance], Mapping[str, str]]) -> Tree:
    info = {"Code": "Success", "LastUpdated": _stamp(instance.launched), "InstanceProfileArn": instance.profile_arn}
    roles: Tree = {instance.role_name: json.dumps(credentials(instance), indent=2)} if instance.role_name else {}
    return {"info": json.dumps(info, indent=2), "security-credentials": roles}


def identity(instance: SandboxInstance) -> str:
    """/dynamic/instance-identity/document; not signed here."""
    return json.dumps(
        {
            "accountId": instance.account,
            "architecture": "x86_64",
            "availabilityZone": instance.zone,
            "imageId": instance.image,
            "instanceId": instance.id,
            "instanceType": instance.type,
            "pendingTime": _stamp(instance.launched),
            "privateIp": instance.private_ip,
            "region": instance.region,
            "version": "2017-09-30",
        },
        indent=2,
    )


def look_up(root: Tree, path: str) -> str | None:
    """A leaf's text, or the listing of a folder (folders end with a slash); None where nothing is."""
    node: str | Tree = root
    for part in [part for part in path.split("/") if part]:
        if isinstance(node, str) or part not in node:
            return None
        node = node[part]
    if isinstance(node, str):
        return node
    return "\n".join(name if isinstance(below, str) else f"{name}/" for name, below in sorted(node.items()))


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
