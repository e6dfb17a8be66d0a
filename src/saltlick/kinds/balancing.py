"""What the kinds of Elastic Load Balancing share: there are no filters by tag, so ours are found by their VPC and their tags.

Balancers, target groups and the tags of both are three calls, made once for all four kinds. Tags are asked for 20 objects at
a time, so only those in a VPC of the scope, or of a name that is wanted, are asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Key, Scope
from saltlick.kinds import tags

SERVICE = "elbv2"
TAGGED_AT_ONCE = 20


def balancers(reading: Reading) -> tuple[tags.Item, ...]:
    """Every load balancer of the region."""
    return reading.read(SERVICE, "describe_load_balancers", "LoadBalancers")


def target_groups(reading: Reading) -> tuple[tags.Item, ...]:
    """Every target group of the region."""
    return reading.read(SERVICE, "describe_target_groups", "TargetGroups")


def our_balancers(reading: Reading, scope: Scope) -> Iterator[tuple[Key, dict[str, str], tags.Item]]:
    """The scope's load balancers with their keys and tags."""
    return _ours(balancers(reading), "LoadBalancerArn", _tags(reading, scope), scope, "load_balancer")


def our_target_groups(reading: Reading, scope: Scope) -> Iterator[tuple[Key, dict[str, str], tags.Item]]:
    """The scope's target groups with their keys and tags."""
    return _ours(target_groups(reading), "TargetGroupArn", _tags(reading, scope), scope, "target_group")


def write_tags(cloud: Cloud, arn: str, wanted: dict[str, str]) -> None:
    """Add or overwrite tags; those of others stay. IAM: elasticloadbalancing:AddTags."""
    cloud.call(SERVICE, "add_tags", ResourceArns=[arn], Tags=tags.as_list(wanted))


def _ours(
    items: Sequence[tags.Item], arn: str, all_tags: dict[str, dict[str, str]], scope: Scope, kind: str
) -> Iterator[tuple[Key, dict[str, str], tags.Item]]:
    tagged = ({**item, "Tags": tags.as_list(all_tags.get(item[arn], {}))} for item in items)
    return tags.found(tagged, scope, kind)


def _tags(reading: Reading, scope: Scope) -> dict[str, dict[str, str]]:
    """Tags by ARN, of those that can be ours."""
    candidates = _candidates(reading, scope)
    tags_by_arn: dict[str, dict[str, str]] = {}
    for start in range(0, len(candidates), TAGGED_AT_ONCE):
        some = candidates[start : start + TAGGED_AT_ONCE]
        for description in reading.read(SERVICE, "describe_tags", "TagDescriptions", ResourceArns=some):
            tags_by_arn[description["ResourceArn"]] = tags.of(description)
    return tags_by_arn


def _candidates(reading: Reading, scope: Scope) -> list[str]:
    named = {getattr(r.properties, "balancer_name", None) for r in scope.of_kind("load_balancer")}
    grouped = {getattr(r.properties, "group_name", None) for r in scope.of_kind("target_group")}
    by_arn = {item["LoadBalancerArn"]: (item, item["LoadBalancerName"] in named) for item in balancers(reading)}
    by_arn |= {item["TargetGroupArn"]: (item, item["TargetGroupName"] in grouped) for item in target_groups(reading)}
    vpcs = {vpc["VpcId"] for vpc in reading.read("ec2", "describe_vpcs", "Vpcs", Filters=tags.ours(scope))}
    return sorted(arn for arn, (item, wanted) in by_arn.items() if wanted or item.get("VpcId") in vpcs)
