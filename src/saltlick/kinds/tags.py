"""How an object says whose it is: our three tags, written in the create call, asked for and read from answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from saltlick.engine.ports import Cloud
from saltlick.engine.resource import TAG_ADDRESS, TAG_ENVIRONMENT, Key, Scope

Item = Mapping[str, Any]


def ours(scope: Scope) -> list[dict[str, Any]]:
    """The EC2 filter for everything of the scope's environments."""
    return [{"Name": f"tag:{TAG_ENVIRONMENT}", "Values": sorted(scope.environments)}]


def anybodys() -> list[dict[str, Any]]:
    """The EC2 filter for everything that Saltlick created, in any environment."""
    return [{"Name": "tag-key", "Values": [TAG_ENVIRONMENT]}]


def in_create(resource_type: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """`TagSpecifications` for one resource type."""
    return [{"ResourceType": resource_type, "Tags": as_list(tags)}]


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def of(item: Item) -> dict[str, str]:
    """The tags in an answer (`Tags`, or `TagSet` in a few)."""
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags") or item.get("TagSet") or ()}


def key_of(tags: Mapping[str, str]) -> Key | None:
    """Whose object this is, or None when it is none of ours."""
    if TAG_ENVIRONMENT in tags and TAG_ADDRESS in tags:
        return Key(tags[TAG_ENVIRONMENT], tags[TAG_ADDRESS])
    return None


def found(items: Iterable[Item], scope: Scope, kind: str) -> Iterator[tuple[Key, dict[str, str], Item]]:
    """The items that are of the scope and of that kind by their own tags: a filter alone is not to be trusted."""
    for item in items:
        tags = of(item)
        key = key_of(tags)
        if key and key.environment in scope.environments and key.kind == kind:
            yield key, tags, item


def write(cloud: Cloud, object_id: str, tags: Mapping[str, str]) -> None:
    """Add or overwrite tags of an EC2 object; tags that others put there stay. IAM: ec2:CreateTags."""
    cloud.call("ec2", "create_tags", Resources=[object_id], Tags=as_list(tags))
