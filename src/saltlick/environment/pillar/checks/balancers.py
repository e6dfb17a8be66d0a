"""Load balancers."""

from __future__ import annotations

from collections.abc import Iterator

from saltlick.environment.pillar import layout
from saltlick.environment.pillar.checks.findings import PillarFinding, at, repeated, unknown
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import LoadBalancerSpec

NAME_LIMIT = 32
"""Source: Elastic Load Balancing API, CreateLoadBalancer and CreateTargetGroup, `Name`."""


def findings(environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong with the balancers by themselves."""
    for name, balancer in environment.balancers.items():
        where = ("balancers", name)
        yield from unknown(
            balancer.servers, environment.servers, "server group", (*where, "servers"), section="servers"
        )
        yield from unknown(
            [balancer.subnet], environment.subnets, "tier of subnets", (*where, "subnet"), section="subnets"
        )
        yield from unknown(
            balancer.firewall, environment.firewall, "firewall group", (*where, "firewall"), section="firewall"
        )
        yield from repeated(balancer.servers, (*where, "servers"))
        yield from _name(f"{environment.name}-{name}", where)
        yield from _place(environment, balancer, where)


def _name(full: str, where: tuple[str, str]) -> Iterator[PillarFinding]:
    if len(full) > NAME_LIMIT:
        message = f"AWS takes at most {NAME_LIMIT} characters for a balancer's name, and {full} has {len(full)}"
        yield at(*where, message=message)
    if full.startswith("internal-"):
        yield at(*where, message=f"AWS takes no balancer whose name begins with internal-, as {full} does")


def _place(environment: Environment, balancer: LoadBalancerSpec, where: tuple[str, str]) -> Iterator[PillarFinding]:
    tier = environment.subnets.get(balancer.subnet)
    if tier is None:
        return
    if len(environment.zones) < 2:
        yield at(
            *where,
            lacks=[("zones",)],
            message="a balancer needs subnets in at least two zones; the environment has one",
        )
    if not balancer.internal and not layout.is_public(balancer.subnet, tier):
        message = f"{balancer.subnet} is not public, so the internet cannot reach it. Set `internal: true` if that is intended"
        yield at(*where, "subnet", message=message)
