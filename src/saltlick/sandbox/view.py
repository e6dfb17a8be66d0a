"""What `saltlick sandbox status` shows, as plain data. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from saltlick.sandbox import packets
from saltlick.sandbox.balancer import BackendHealth
from saltlick.sandbox.cloud import SandboxBalancer, SandboxInstance, SandboxSnapshot, SandboxTarget
from saltlick.sandbox.desired import Actual, Machine

HealthOf = Callable[[str], "Mapping[SandboxTarget, BackendHealth] | None"]


def view(snapshot: SandboxSnapshot, actual: Actual, addresses: Mapping[str, str], health: HealthOf) -> dict[str, Any]:
    """Instances, balancers, networks and open passages. `addresses` of balancers by DNS name; `health` by group's ARN."""
    return {
        "instances": [_instance(i, actual.machines.get(i.id)) for i in snapshot.instances],
        "balancers": [
            _balancer(b, snapshot, addresses.get(b.dns_name.lower(), "?"), health) for b in snapshot.balancers
        ],
        "networks": dict(actual.networks),
        "passages": [[p.cidr_a, p.cidr_b] for p in packets.passages(snapshot)],
    }


def _instance(instance: SandboxInstance, machine: Machine | None) -> dict[str, Any]:
    return {
        "id": instance.id,
        "name": instance.name,
        "state": instance.state,
        "container": "none" if machine is None else "running" if machine.running else "stopped",
        "private_ip": instance.private_ip,
        "vpc": instance.vpc,
        "zone": instance.zone,
        "image": instance.image,
    }


def _balancer(balancer: SandboxBalancer, snapshot: SandboxSnapshot, address: str, health: HealthOf) -> dict[str, Any]:
    arns = sorted({listener.target_group for listener in balancer.listeners if listener.target_group})
    names = {i.id: i.name for i in snapshot.instances}
    return {
        "name": balancer.name,
        "dns_name": balancer.dns_name,
        "urls": [f"http://{address}:{listener.port}" for listener in balancer.listeners],
        "targets": [
            {"target": names.get(target.id, target.id), "port": target.port, "state": state.state}
            for arn in arns
            for target, state in (health(arn) or {}).items()
        ],
    }
