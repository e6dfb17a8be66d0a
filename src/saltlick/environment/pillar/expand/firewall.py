"""Security groups and their rules: all rules of a group are one resource, so that a group is opened in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from saltlick.engine.resource import Resource, Text
from saltlick.environment.pillar.expand.draft import Draft
from saltlick.environment.pillar.expand.network import ANYWHERE, VPC
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.network import FirewallRule
from saltlick.kinds.security_group_rules import Rule as IngressRule
from saltlick.schema.fields import PEERS, SELF, WORLD


def resources(environment: Environment, peers: Mapping[str, Environment]) -> Iterator[Resource]:
    """A security group and its rules per firewall group."""
    draft = Draft(environment)
    for name, rules in environment.firewall.items():
        yield draft(
            "security_group",
            name,
            name,
            vpc=draft.ref(VPC),
            group_name=name,
            description=f"{name} of {environment.name}",
        )
        yield draft(
            "security_group_rules",
            name,
            draft.titled(name, "rules"),
            group=draft.ref(f"security_group/{name}"),
            ingress=tuple(expanded for rule in rules for expanded in _ingress(draft, name, rule, peers)),
        )


def _ingress(draft: Draft, group: str, rule: FirewallRule, peers: Mapping[str, Environment]) -> Iterator[IngressRule]:
    for source in _sources(draft, group, rule, peers):
        for protocol, first, last in _openings(rule):
            yield IngressRule(
                protocol=protocol, from_port=first, to_port=last, source=source, description=rule.description
            )


def _openings(rule: FirewallRule) -> Iterator[tuple[str, int, int]]:
    yield from (("tcp", ports.first, ports.last) for ports in rule.tcp)
    yield from (("udp", ports.first, ports.last) for ports in rule.udp)
    if rule.icmp:
        yield ("icmp", -1, -1)
    yield from ((str(number), -1, -1) for number in rule.ip_protocol)


def _sources(draft: Draft, group: str, rule: FirewallRule, peers: Mapping[str, Environment]) -> Iterator[Text]:
    environment = draft.environment
    for source in rule.sources:
        if source == WORLD:
            yield ANYWHERE
        elif source == PEERS:
            yield from (str(peers[name].cidr) for name in environment.peers)
        elif source == SELF or source in environment.firewall:
            yield draft.ref(f"security_group/{group if source == SELF else source}")
        elif source in environment.peers:
            yield str(peers[source].cidr)
        else:
            yield source
