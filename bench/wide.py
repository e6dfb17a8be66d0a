"""The pillar of one wide environment: as many objects as asked for, of the kinds that grow in real life."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
NETWORK = 8
"""VPC, gateway, two public subnets with their associations, table, route."""


def wide_pillar(folder: Path, size: int) -> int:
    """Write the pillar of environment `wide` under `folder`: `size` objects, which is returned.

    Two in five are servers, two in five firewall groups and their rules, the rest subnets of the long form.
    """
    servers = size * 2 // 5
    groups = max(1, size // 5)
    subnets = size - NETWORK - servers - 2 * groups
    environment = {
        "name": "wide",
        "region": "us-east-1",
        "cidr": "10.40.0.0/16",
        "zones": ["us-east-1a", "us-east-1b"],
        "image": {"ssm": IMAGE},
        "subnets": {"public": {"cidrs": ["10.40.0.0/22", "10.40.4.0/22"]}},
        "firewall": {f"g{n}": [{"from": "world", "tcp": 1024 + n}] for n in range(groups)},
        "servers": {
            "web": {"count": servers, "type": "t3.small", "subnet": "public", "firewall": "g0", "boot": "none"}
        },
        "resources": [subnet(n) for n in range(subnets)],
    }
    (folder / "wide").mkdir(parents=True)
    (folder / "common").mkdir()
    (folder / "common/top.sls").write_text("{{ saltenv }}:\n  '*': [environment]\n")
    (folder / "wide/environment.sls").write_text("#!json\n" + json.dumps({"environment": environment}, indent=1))
    return size


def subnet(number: int) -> dict[str, Any]:
    return {
        "kind": "subnet",
        "name": f"extra-{number}",
        "properties": {
            "vpc": {"ref": "vpc/main"},
            "cidr": f"10.40.{128 + number // 16}.{number % 16 * 16}/28",
            "zone": "us-east-1a",
        },
    }
