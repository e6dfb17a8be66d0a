"""The machine image a server starts from: looked up, never made. By its id, by the newest of a name pattern, or by SSM.

AWS publishes the ids of its own images, and Debian, Ubuntu and others of theirs, as SSM parameters: those follow the region
and the newest release. A newer image is shown as drift on the servers, and never replaces one by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Key, Kind, Observed, Properties, Scope, Wanted, immutable
from saltlick.errors import InvalidInput, Problem
from saltlick.kinds import tags
from saltlick.kinds.instance import live_instances

SSM_NAMES = 10
"""GetParameters takes no more at once."""


@dataclass(frozen=True, kw_only=True)
class ImageProperties(Properties):
    id: str | None = immutable("The image's id: `ami-0abc…`.", default=None)
    name: str | None = immutable("A name pattern (`debian-12-amd64-*`); the newest wins. Needs `owner`.", default=None)
    owner: str | None = immutable("The account, or alias, that `name` must belong to: `136693071363`.", default=None)
    ssm: str | None = immutable("An SSM parameter that holds the id: `/aws/service/…`.", default=None)


class Image(Kind):
    """Source: EC2 DescribeImages, SSM GetParameters."""

    name = "image"
    properties = ImageProperties
    attributes = frozenset({"id", "root_device", "name"})
    iam: ClassVar = {"observe": ("ec2:DescribeImages", "ssm:GetParameters", "ec2:DescribeInstances")}
    lookup = True

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        """Yields what was found of the wanted; one that is not found is not yielded.

        An image that a server of ours runs on is known from that server, which saves a call in every re-check.
        """
        wanted = {r.key: cast("ImageProperties", r.properties) for r in scope.of_kind(self.name)}
        ids = _ids(reading, wanted)
        known = _in_use(reading, scope) if ids else {}
        known |= _described(reading, set(ids.values()) - set(known))
        for key, properties in wanted.items():
            image = known.get(ids[key]) if key in ids else _newest(reading, properties)
            if image:
                yield Observed(key=key, properties={}, attributes=_attributes(image))

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        """Never creates one. Raises: InvalidInput, because `observe` has not found it."""
        sought = ", ".join(f"{k} {v!r}" for k, v in vars(wanted.properties).items() if v is not None)
        raise InvalidInput([Problem(str(wanted.key), f"no image with {sought} in this region")], what="image")


def _ids(reading: Reading, wanted: Mapping[Key, ImageProperties]) -> dict[Key, str]:
    """The ids of those that are wanted by id or by SSM parameter."""
    published = _parameters(reading, sorted({p.ssm for p in wanted.values() if p.ssm and not p.id}))
    ids = {key: p.id or published.get(p.ssm or "") for key, p in wanted.items()}
    return {key: image_id for key, image_id in ids.items() if image_id}


def _parameters(reading: Reading, names: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for start in range(0, len(names), SSM_NAMES):
        some = names[start : start + SSM_NAMES]
        for parameter in reading.read("ssm", "get_parameters", "Parameters", Names=some):
            values[parameter["Name"]] = parameter["Value"]
    return values


def _in_use(reading: Reading, scope: Scope) -> dict[str, tags.Item]:
    instances = [instance for _, _, instance in live_instances(reading, scope)]
    return {
        instance["ImageId"]: {"ImageId": instance["ImageId"], "RootDeviceName": instance["RootDeviceName"]}
        for instance in instances
        if instance.get("RootDeviceName")
    }


def _described(reading: Reading, ids: set[str]) -> dict[str, tags.Item]:
    if not ids:
        return {}
    by_id = [{"Name": "image-id", "Values": sorted(ids)}]
    return {image["ImageId"]: image for image in reading.read("ec2", "describe_images", "Images", Filters=by_id)}


def _newest(reading: Reading, properties: ImageProperties) -> tags.Item | None:
    if not properties.name:
        return None
    filters = [{"Name": "name", "Values": [properties.name]}, {"Name": "state", "Values": ["available"]}]
    owners = {"Owners": [properties.owner]} if properties.owner else {}
    images = reading.read("ec2", "describe_images", "Images", Filters=filters, **owners)
    return max(images, key=lambda image: str(image.get("CreationDate", "")), default=None)


def _attributes(image: tags.Item) -> dict[str, str]:
    image_id = str(image["ImageId"])
    return {"id": image_id, "root_device": image["RootDeviceName"], "name": image.get("Name", image_id)}
