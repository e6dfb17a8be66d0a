"""A key pair for SSH: created only when declared. Only the public half is sent to AWS.

Its name in AWS is the resource's title, unique in the region.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Wanted, immutable
from saltlick.kinds import retry, tags


@dataclass(frozen=True, kw_only=True)
class KeyPairProperties(Properties):
    public_key: str = immutable("The public key as OpenSSH writes it: `ssh-ed25519 AAAA…`. A comment is not compared.")


class KeyPair(Kind):
    """Source: EC2 ImportKeyPair, DescribeKeyPairs, DeleteKeyPair."""

    name = "key_pair"
    properties = KeyPairProperties
    attributes = frozenset({"id", "name"})
    iam: ClassVar = {
        "observe": ("ec2:DescribeKeyPairs",),
        "create": ("ec2:ImportKeyPair", "ec2:CreateTags"),
        "update": ("ec2:CreateTags",),
        "destroy": ("ec2:DeleteKeyPair",),
    }

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        items = reading.read("ec2", "describe_key_pairs", "KeyPairs", Filters=tags.ours(scope), IncludePublicKey=True)
        for key, object_tags, pair in tags.found(items, scope, self.name):
            public_key = pair.get("PublicKey")
            yield Observed(
                key=key,
                properties={"public_key": _bare(public_key)} if public_key else {},
                attributes={"id": pair["KeyPairId"], "name": pair["KeyName"]},
                tags=object_tags,
            )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        answer = cloud.call(
            "ec2",
            "import_key_pair",
            KeyName=wanted.resource.title,
            PublicKeyMaterial=wanted.properties.public_key.encode(),
            TagSpecifications=tags.in_create("key-pair", wanted.tags),
        )
        return {"id": answer["KeyPairId"], "name": answer["KeyName"]}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        retry.delete(cloud, deadline_s, "ec2", "delete_key_pair", KeyName=observed.attributes["name"])

    def normalise(self, field_name: str, value: Any) -> Any:
        return _bare(value) if field_name == "public_key" else value


def _bare(public_key: str) -> str:
    """Type and key, without the comment."""
    return " ".join(public_key.split()[:2])
