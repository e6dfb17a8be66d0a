"""A small world with two kinds, for the engine's tests: networks, and boxes that stand in a network."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from support.cloud import FakeCloud

from saltlick.engine.resource import (
    TAG_ADDRESS,
    TAG_ENVIRONMENT,
    Attributes,
    Join,
    Key,
    Kind,
    Observed,
    Properties,
    Ref,
    Resource,
    Scope,
    Text,
    Wanted,
    immutable,
    mutable,
    noted,
)
from saltlick.errors import AwsError


@dataclass
class Thing:
    id: str
    kind: str
    properties: dict[str, Any]
    tags: dict[str, str]


@dataclass
class World(FakeCloud):
    """Everything there is, and faults to come: `faults[(verb, name)]` are errors raised in turn, before or after the deed."""

    region: str = field(default="nowhere-1", kw_only=True)
    things: dict[str, Thing] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    faults: dict[tuple[str, str], list[tuple[str, BaseException]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def fault(self, when: str, verb: str, name: str) -> None:
        queued = self.faults.get((verb, name), [])
        if queued and queued[0][0] == when:
            raise queued.pop(0)[1]


@dataclass(frozen=True, kw_only=True)
class NetProperties(Properties):
    cidr: str = immutable("its range")
    colour: str = mutable("its colour", default="grey")


@dataclass(frozen=True, kw_only=True)
class BoxProperties(Properties):
    net: Text = immutable("the network it stands in")
    size: int = mutable("how large", default=1)
    script: str | Ref | Join | None = noted("what it runs first", default=None)


class WorldKind(Kind):
    iam: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def observe(self, reading: Any, scope: Scope) -> Iterable[Observed]:
        world: World = reading
        with world.lock:
            things = [thing for thing in world.things.values() if thing.kind == self.name]
        for thing in things:
            if thing.tags.get(TAG_ENVIRONMENT) in scope.environments:
                key = Key(thing.tags[TAG_ENVIRONMENT], thing.tags[TAG_ADDRESS])
                pointed = frozenset(v for v in thing.properties.values() if isinstance(v, str) and v in world.things)
                yield Observed(
                    key=key,
                    properties=dict(thing.properties),
                    attributes={"id": thing.id},
                    references=pointed,
                    tags=dict(thing.tags),
                )

    def create(self, cloud: Any, wanted: Wanted) -> Attributes:
        world: World = cloud
        name = wanted.resource.name
        with world.lock:
            world.log.append(f"create {name}")
            world.fault("before", "create", name)
            made = Thing(f"{self.name}-{next(world.numbers)}", self.name, self._values(wanted), dict(wanted.tags))
            world.things[made.id] = made
            world.fault("after", "create", name)
        return {"id": made.id}

    def _values(self, wanted: Wanted) -> dict[str, Any]:
        return dict(vars(wanted.properties))

    def update(self, cloud: Any, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        world: World = cloud
        with world.lock:
            world.log.append(f"update {wanted.resource.name} {','.join(sorted(fields))}")
            thing = world.things[observed.id]
            thing.properties |= {k: v for k, v in self._values(wanted).items() if k in fields}
            if "tags" in fields:
                thing.tags |= wanted.tags
        return {"id": observed.id}

    def destroy(self, cloud: Any, observed: Observed, deadline_s: float) -> None:
        world: World = cloud
        with world.lock:
            world.log.append(f"destroy {observed.key.address.partition('/')[2]}")
            if any(observed.id in thing.properties.values() for thing in world.things.values()):
                raise AwsError("destroy", "DependencyViolation", f"{observed.id} is in use")
            world.things.pop(observed.id, None)


class Net(WorldKind):
    """A network."""

    name = "net"
    properties = NetProperties


class Box(WorldKind):
    """A box in a network."""

    name = "box"
    properties = BoxProperties


KINDS: Mapping[str, Kind] = {"net": Net(), "box": Box()}


def net(name: str = "a", cidr: str = "10.0.0.0/16", environment: str = "prod", **more: Any) -> Resource:
    return Resource(
        environment=environment,
        kind="net",
        name=name,
        title=f"{environment}-{name}",
        properties=NetProperties(cidr=cidr, **more),
    )


def box(name: str, inside: Resource, **more: Any) -> Resource:
    return Resource(
        environment=inside.environment,
        kind="box",
        name=name,
        title=f"{inside.environment}-{name}",
        properties=BoxProperties(net=Ref(inside.key), **more),
    )


def with_after(resource: Resource, *others: Resource) -> Resource:
    return replace(resource, after=frozenset(other.key for other in others))
