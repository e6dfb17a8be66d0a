"""Zones, subnets and NAT."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from saltlick.environment.pillar import layout
from saltlick.environment.pillar.checks.findings import PillarFinding, at, counted, repeated
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.network import Nat, Tier


def findings(environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong with the network by itself."""
    yield from _zones(environment)
    for name, tier in environment.subnets.items():
        yield from _tier(environment, name, tier)
    yield from _overlaps(environment)


def _zones(environment: Environment) -> Iterator[PillarFinding]:
    yield from repeated(environment.zones, ("zones",))
    for number, zone in enumerate(environment.zones):
        if zone[:-1] != environment.region:
            yield at("zones", number, message=f"{zone} is not a zone of {environment.region}")


def _tier(environment: Environment, name: str, tier: Tier) -> Iterator[PillarFinding]:
    where = ("subnets", name)
    if len(tier.cidrs) != len(environment.zones):
        message = f"{counted(len(tier.cidrs), 'network')} for {counted(len(environment.zones), 'zone')}: one for each is needed"
        yield at(*where, "cidrs", lacks=[("zones",)], message=message)
    for number, cidr in enumerate(tier.cidrs):
        if not cidr.subnet_of(environment.cidr):
            yield at(*where, "cidrs", number, message=f"{cidr} is outside the environment's {environment.cidr}")
    if tier.nat is not Nat.NONE and layout.is_public(name, tier):
        yield at(*where, "nat", message=f"{name} is public: its servers reach the internet without NAT")
    elif tier.nat is not Nat.NONE and not layout.public_tier(environment):
        yield at(
            *where, "nat", lacks=[("subnets",)], message="a NAT gateway stands in a public subnet, and there is none"
        )


def _overlaps(environment: Environment) -> Iterator[PillarFinding]:
    seen: list[tuple[IPv4Network, str]] = []
    for name, tier in environment.subnets.items():
        for number, cidr in enumerate(tier.cidrs):
            for other, owner in seen:
                if cidr.overlaps(other):
                    yield at("subnets", name, "cidrs", number, message=f"{cidr} overlaps with {other} of {owner}")
            seen.append((cidr, f"{name}-az{number + 1}"))
