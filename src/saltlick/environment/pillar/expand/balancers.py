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
    for name, wanted in environment.balancers.items():
        yield _balancer(draft, name, wanted)
        yield _target_group(draft, name, wanted)
        yield _listener(draft, name, wanted)
        yield _targets(draft, name, wanted)


def _balancer(draft: Draft, name: str, wanted: LoadBalancerSpec) -> Resource:
    subnets = layout.subnets_of(draft.environment, wanted.subnet)
    return draft(
        "load_balancer",
        name,
        draft.titled(name),
        # AWS refuses a balancer that faces the internet in a VPC without internet gateway.
        after=[] if wanted.internal else [GATEWAY],
        balancer_name=draft.titled(name),
        subnets=tuple(draft.ref(f"subnet/{subnet.name}") for subnet in subnets),
        security_groups=tuple(draft.ref(f"security_group/{group}") for group in sorted(wanted.firewall)),
        scheme="internal" if wanted.internal else "internet-facing",
    )


def _target_group(draft: Draft, name: str, wanted: LoadBalancerSpec) -> Resource:
    return draft(
        "target_group",
        name,
        draft.titled(name),
        group_name=draft.titled(name),
        vpc=draft.ref(VPC),
        port=wanted.target_port or wanted.port,
        protocol="HTTP",
        health_path=wanted.health,
        health_codes=wanted.health_codes,
        drain_s=wanted.drain_s,
    )


def _listener(draft: Draft, name: str, wanted: LoadBalancerSpec) -> Resource:
    return draft(
        "listener",
        f"{name}:{wanted.port}",
        f"{draft.titled(name)}:{wanted.port}",
        balancer=draft.ref(f"load_balancer/{name}"),
        port=wanted.port,
        protocol="HTTP",
        target_group=draft.ref(f"target_group/{name}"),
    )


def _targets(draft: Draft, name: str, wanted: LoadBalancerSpec) -> Resource:
    servers = [server for group in wanted.servers for server in layout.servers_of(draft.environment, group)]
    return draft(
        "target_registration",
        name,
        draft.titled(name),
        target_group=draft.ref(f"target_group/{name}"),
        targets=tuple(draft.ref(server.address) for server in servers),
        port=wanted.target_port or wanted.port,
    )
