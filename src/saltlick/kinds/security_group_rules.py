"""All ingress rules of one security group, as one resource named by the group.

What is missing is added in one call, what is too much taken away in one call, in this order, so that nothing that stays
allowed is shut for a moment. Egress is not managed: AWS's "everything may go out" stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import (
    Attributes,
    Key,
    Kind,
    Observed,
    Properties,
    Scope,
    Text,
    Wanted,
    immutable,
    mutable,
)
from saltlick.kinds import retry, tags
from saltlick.kinds.security_group import groups


@dataclass(frozen=True, kw_only=True, order=True)
class Rule:
    """One ingress rule: `protocol` tcp, udp, icmp, another's number or -1 (all); ports -1 where they have no meaning.

    `source` is a range (`10.0.0.0/8`), a security group (`sg-…`) or a prefix list (`pl-…`).
    """

    protocol: str
    from_port: int
    to_port: int
    source: Text
    description: str = ""

    def __str__(self) -> str:
        ports = str(self.from_port) if self.from_port == self.to_port else f"{self.from_port}-{self.to_port}"
        protocol = f"protocol {self.protocol}" if self.protocol.isdigit() else self.protocol
        what = "everything" if self.protocol == "-1" else f"{protocol} {ports}".removesuffix(" -1")
        return f"{what} from {self.source}"

    @property
    def reach(self) -> tuple[str, int, int, str]:
        """What it allows; two rules of one group cannot have the same."""
        return self.protocol, self.from_port, self.to_port, str(self.source)


@dataclass(frozen=True, kw_only=True)
class SecurityGroupRulesProperties(Properties):
    group: Text = immutable("The security group's id.")
    ingress: tuple[Rule, ...] = mutable("What may come in: all of it; what is not listed is taken away.")


class SecurityGroupRules(Kind):
    """Source: EC2 AuthorizeSecurityGroupIngress, RevokeSecurityGroupIngress, DescribeSecurityGroups."""

    name = "security_group_rules"
    properties = SecurityGroupRulesProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeSecurityGroups",),
        "create": ("ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags"),
        "update": (
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateTags",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        ),
        "destroy": ("ec2:RevokeSecurityGroupIngress",),
    }

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for group_key, _, group in tags.found(groups(reading, scope), scope, "security_group"):
            key = Key(group_key.environment, f"{self.name}/{group_key.address.partition('/')[2]}")
            rules = tuple(sorted(_rules(group.get("IpPermissions", ()))))
            if rules or key in scope.wanted:
                sources = {str(rule.source) for rule in rules if str(rule.source).startswith("sg-")}
                yield Observed(
                    key=key,
                    properties={"group": group["GroupId"], "ingress": rules},
                    attributes={"id": group["GroupId"]},
                    references=frozenset({group["GroupId"], *sources}),
                )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        _authorize(cloud, wanted, self.normalise("ingress", wanted.properties.ingress))
        return {"id": wanted.properties.group}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "ingress" in fields:
            current: dict[Any, Rule] = {rule.reach: rule for rule in observed.properties["ingress"]}
            right: dict[Any, Rule] = {r.reach: r for r in self.normalise("ingress", wanted.properties.ingress)}
            _authorize(cloud, wanted, [rule for reach, rule in right.items() if reach not in current])
            _describe(cloud, observed.id, [r for reach, r in right.items() if current.get(reach, r) != r])
            _revoke(cloud, observed.id, [rule for reach, rule in current.items() if reach not in right])
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Taken away on their own, so that groups which name each other can be deleted in any order."""
        permissions = _permissions(observed.properties["ingress"])
        if permissions:
            retry.delete(
                cloud,
                deadline_s,
                "ec2",
                "revoke_security_group_ingress",
                GroupId=observed.id,
                IpPermissions=permissions,
            )

    def normalise(self, field_name: str, value: Any) -> Any:
        if field_name == "ingress":
            return tuple(sorted({_as_observed(rule) for rule in value}))
        return value


def _authorize(cloud: Cloud, wanted: Wanted, rules: Iterable[Rule]) -> None:
    permissions = _permissions(rules)
    if permissions:
        cloud.call(
            "ec2",
            "authorize_security_group_ingress",
            GroupId=wanted.properties.group,
            IpPermissions=permissions,
            TagSpecifications=tags.in_create("security-group-rule", wanted.tags),
        )


def _describe(cloud: Cloud, group_id: str, rules: Iterable[Rule]) -> None:
    permissions = _permissions(rules)
    if permissions:
        cloud.call(
            "ec2",
            "update_security_group_rule_descriptions_ingress",
            GroupId=group_id,
            IpPermissions=permissions,
        )


def _revoke(cloud: Cloud, group_id: str, rules: Iterable[Rule]) -> None:
    permissions = _permissions(rules)
    if permissions:
        cloud.call("ec2", "revoke_security_group_ingress", GroupId=group_id, IpPermissions=permissions)


SOURCES = (
    ("IpRanges", "CidrIp"),
    ("Ipv6Ranges", "CidrIpv6"),
    ("UserIdGroupPairs", "GroupId"),
    ("PrefixListIds", "PrefixListId"),
)
"""Where AWS keeps the sources of a permission, and under which name."""


def _rules(permissions: Iterable[tags.Item]) -> Iterator[Rule]:
    for permission in permissions:
        for place, name in SOURCES:
            for source in permission.get(place, ()):
                yield _as_observed(
                    Rule(
                        protocol=permission["IpProtocol"],
                        from_port=permission.get("FromPort", -1),
                        to_port=permission.get("ToPort", -1),
                        source=source[name],
                        description=source.get("Description", ""),
                    )
                )


def _permissions(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    return [_permission(rule) for rule in rules]


def _permission(rule: Rule) -> dict[str, Any]:
    place, name = _place(str(rule.source))
    source = {name: rule.source} | ({"Description": rule.description} if rule.description else {})
    ports = {} if rule.protocol == "-1" else {"FromPort": rule.from_port, "ToPort": rule.to_port}
    return {"IpProtocol": rule.protocol, **ports, place: [source]}


def _place(source: str) -> tuple[str, str]:
    if source.startswith("sg-"):
        return SOURCES[2]
    if source.startswith("pl-"):
        return SOURCES[3]
    return SOURCES[1] if ":" in source else SOURCES[0]


def _as_observed(rule: Rule) -> Rule:
    """Ports only where the protocol has ports: AWS drops them for other protocols."""
    protocol = "-1" if rule.protocol == "all" else rule.protocol
    if protocol == "-1" or protocol.isdigit():
        return replace(rule, protocol=protocol, from_port=-1, to_port=-1)
    return rule
