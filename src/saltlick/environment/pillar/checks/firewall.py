"""Firewall groups and their rules."""

from __future__ import annotations

from collections.abc import Iterator

from saltlick.environment.pillar.checks.findings import PillarFinding, at, repeated
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.network import FirewallRule
from saltlick.schema.fields import PEERS, RESERVED_SOURCES, PortRange
from saltlick.schema.problems import did_you_mean

Opening = tuple[str, str, PortRange | int]
"""Source, protocol, and ports or the protocol's number."""


def findings(environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong with the firewall by itself."""
    for group, rules in environment.firewall.items():
        yield from _name(environment, group)
        seen: dict[Opening, int] = {}
        for number, rule in enumerate(rules):
            where = ("firewall", group, number)
            yield from _sources(environment, rule, where)
            yield from _ports(rule, where)
            yield from _again(rule, number, seen, where)


def _name(environment: Environment, group: str) -> Iterator[PillarFinding]:
    if group in RESERVED_SOURCES:
        yield at("firewall", group, message=f"{group} means something else in rules; choose another name")
    if group in environment.peers:
        yield at("firewall", group, message=f"{group} is also a peer: `from: {group}` could mean either")
    if group == "default" or group.startswith("sg-"):
        yield at("firewall", group, message=f"AWS keeps the name {group} for itself")


def _sources(environment: Environment, rule: FirewallRule, where: tuple[str | int, ...]) -> Iterator[PillarFinding]:
    groups = (*environment.firewall, *environment.peers)
    for number, source in enumerate(rule.sources):
        place = (*where, "from", number) if len(rule.sources) > 1 else (*where, "from")
        if source == PEERS and not environment.peers:
            yield at(*place, lacks=[("peers",)], message="there are no peers")
        elif source not in RESERVED_SOURCES and "/" not in source and source not in groups:
            message = f"there is no group or peer {source}{did_you_mean(source, (*groups, *RESERVED_SOURCES))}"
            yield at(*place, lacks=[("firewall", source), ("peers",)], message=message)


def _ports(rule: FirewallRule, where: tuple[str | int, ...]) -> Iterator[PillarFinding]:
    if not (rule.tcp or rule.udp or rule.icmp or rule.ip_protocol):
        yield at(*where, message="this opens nothing: say which `tcp` or `udp` ports, `icmp: true` or an `ip_protocol`")
    for protocol, ports in (("tcp", rule.tcp), ("udp", rule.udp)):
        for number, port in enumerate(ports):
            if clash := next((other for other in ports[:number] if port.overlaps(other)), None):
                yield at(*where, protocol, number, message=f"{port} is open already: {clash}")
    yield from repeated(rule.ip_protocol, (*where, "ip_protocol"))


def _again(
    rule: FirewallRule, number: int, seen: dict[Opening, int], where: tuple[str | int, ...]
) -> Iterator[PillarFinding]:
    """AWS refuses a rule that is there already."""
    for source in rule.sources:
        for protocol, ports in (("tcp", rule.tcp), ("udp", rule.udp), ("protocol", rule.ip_protocol)):
            for port in ports:
                first = seen.setdefault((source, protocol, port), number)
                if first != number:
                    yield at(*where, message=f"rule {first + 1} opens {protocol} {port} to {source} already")
