"""Images are looked up: by SSM parameter, by id, by the newest of a name pattern."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from saltlick.engine.resource import Resource, Scope, Wanted
from saltlick.errors import InvalidInput
from saltlick.kinds import KINDS

from .estate import BY_ADDRESS, ESTATE
from .world import World, having

if TYPE_CHECKING:
    from saltlick.aws import AwsCloud

    from .conftest import Call

LINUX = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


def image(**properties: str) -> Resource:
    nothing = {"id": None, "name": None, "owner": None, "ssm": None}
    return having(BY_ADDRESS["image/app"], **{**nothing, **properties})


def test_by_parameter_by_id_and_by_name_it_is_the_same(published: AwsCloud) -> None:
    world = World(published, ())
    by_parameter = world.require(image(ssm=LINUX)).attributes
    assert by_parameter["root_device"] == "/dev/xvda"
    assert world.require(image(id=by_parameter["id"])).attributes == by_parameter
    by_name = world.require(image(name=by_parameter["name"], owner="amazon")).attributes
    assert by_name == by_parameter


class Images:
    """A reading that has these images, whatever is asked."""

    def __init__(self, **created: str) -> None:
        self._created = created

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[dict[str, str], ...]:
        return tuple(
            {"ImageId": name, "CreationDate": date, "RootDeviceName": "/dev/xvda"}
            for name, date in self._created.items()
        )


def test_the_newest_of_a_pattern_wins() -> None:
    resource = image(name="debian-12-*", owner="136693071363")
    reading = Images(old="2026-01-01T00:00:00.000Z", new="2026-11-02T00:00:00.000Z", middle="2026-11-01T00:00:00.000Z")
    (found,) = KINDS["image"].observe(reading, Scope(("prod",), {resource.key: resource}))
    assert found.id == "new"


def test_one_that_is_not_found_is_not_there_and_says_what_was_sought(world: World, cloud: AwsCloud) -> None:
    missing = image(id="ami-0123456789abcdef0")
    assert world.see(missing) is None
    wanted = Wanted(resource=missing, properties=missing.properties, tags={}, token="t", deadline_s=1)
    with pytest.raises(InvalidInput, match="ami-0123456789abcdef0"):
        KINDS["image"].create(cloud, wanted)


def test_one_that_a_server_runs_on_costs_no_call(published: AwsCloud, calls: list[Call]) -> None:
    by_parameter = image(ssm=LINUX)
    estate = [r for r in ESTATE if r.key != by_parameter.key]
    world = World(published, [*estate, by_parameter])
    world.make(dataclasses.replace(BY_ADDRESS["instance/app-2"]))
    calls.clear()
    assert world.require(by_parameter).attributes["root_device"] == "/dev/xvda"
    assert ("ec2", "describe_images") not in calls
