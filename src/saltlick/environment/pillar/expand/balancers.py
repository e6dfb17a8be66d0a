"""Application load balancers with their listener, target group and targets."""

from __future__ import annotations

from collections.abc import Iterator

from saltlick.engine.resource import Resource
from saltlick.environment.pillar import layout
from saltlick.environment.pillar.expand.draft import Draft
from saltlick.environment.pillar.expand.network import GATEWAY, VPC
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import LoadBalancerSpec


def resources(environment: Environment) -> Iterator[Resource]:
    """All balancers."""
    draft = Draft(environment)
    for name, spec in environment.balancers.items():
        yield _balancer(draft, name, spec)
        yield _target_group(draft, name, spec)
        yield _listener(draft, name, spec)
        yield _targets(draft, name, spec)


def _balancer(draft: Draft, name: str, spec: LoadBalancerSpec) -> Resource:
    subnets = layout.subnets_of(draft.environment, spec.subnet)
    return draft(
        "load_balancer",
        name,
        draft.titled(name),
        # AWS refuses a balancer that faces the internet in a VPC without internet gateway.
        after=[] if spec.internal else [GATEWAY],
        balancer_name=draft.titled(name),
        subnets=tuple(draft.ref(f"subnet/{subnet.name}") for subnet in subnets),
        security_groups=tuple(draft.ref(f"security_group/{group}") for group in sorted(spec.firewall)),
        scheme="internal" if spec.internal else "internet-facing",
    )


def _target_group(draft: Draft, name: str, spec: LoadBalancerSpec) -> Resource:
    return draft(
        "target_group",
        name,
        draft.titled(name),
        group_name=draft.titled(name),
        vpc=draft.ref(VPC),
        port=spec.target_port or spec.port,
        protocol="HTTP",
        health_path=spec.health,
        health_codes=spec.health_codes,
        drain_s=spec.drain_s,
    )


def _listener(draft: Draft, name: str, spec: LoadBalancerSpec) -> Resource:
    return draft(
        "listener",
        f"{name}:{spec.port}",
        f"{draft.titled(name)}:{spec.port}",
        balancer=draft.ref(f"load_balancer/{name}"),
        port=spec.port,
        protocol="HTTP",
        target_group=draft.ref(f"target_group/{name}"),
    )


def _targets(draft: Draft, name: str, spec: LoadBalancerSpec) -> Resource:
    servers = [server for group in spec.servers for server in layout.servers_of(draft.environment, group)]
    return draft(
        "target_registration",
        name,
        draft.titled(name),
        target_group=draft.ref(f"target_group/{name}"),
        targets=tuple(draft.ref(server.address) for server in servers),
        port=spec.target_port or spec.port,
    )
