"""The engine's types: declared resources, observed objects, and the interface of a kind.

A `Resource` is one wanted AWS object. What is known only later is a `Ref` inside its properties, never `None`.
An `Observed` is one object that AWS showed us, in the same field names. A `Kind` turns the first into the second.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from saltlick.engine.ports import Cloud, Reading

TAG_NAME = "Name"
TAG_ENVIRONMENT = "saltlick:environment"
TAG_ADDRESS = "saltlick:address"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A resource's identity everywhere: its environment and its address (`prod`, `subnet/public-az1`)."""

    environment: str
    address: str

    @property
    def kind(self) -> str:
        return self.address.partition("/")[0]

    def __str__(self) -> str:
        return f"{self.environment}:{self.address}"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """An attribute of another resource, known once that one exists: `Ref(Key("prod", "vpc/main"))` is its id."""

    key: Key
    attribute: str = "id"

    def __str__(self) -> str:
        return f"{self.key}" if self.attribute == "id" else f"{self.key}.{self.attribute}"


@dataclass(frozen=True, slots=True)
class Join:
    """A text with references inside it, resolved by joining its parts."""

    parts: tuple[str | Ref, ...]


Text = str | Ref | Join
"""A string now, or one known later."""


class Effect(str, Enum):
    """What it takes to change a field of an existing object."""

    UPDATE = "update"  # AWS changes it in place
    REPLACE = "replace"  # only a new object can have it; done when asked for by name
    DRIFT = "drift"  # shown, and taken over only when the object is replaced for another reason or on request


def mutable(doc: str, *, default: Any = MISSING) -> Any:
    """Declare a property field that AWS changes in place."""
    return field(default=default, metadata={"doc": doc, "effect": Effect.UPDATE})


def immutable(doc: str, *, default: Any = MISSING) -> Any:
    """Declare a property field that only a new object can have."""
    return field(default=default, metadata={"doc": doc, "effect": Effect.REPLACE})


def noted(doc: str, *, default: Any = MISSING) -> Any:
    """Declare a property field whose change is shown as drift and never acted on by itself."""
    return field(default=default, metadata={"doc": doc, "effect": Effect.DRIFT})


@dataclass(frozen=True, kw_only=True)
class Properties:
    """Base of every kind's properties: a frozen keyword-only dataclass of `mutable`/`immutable`/`noted` fields.

    Values are str, int, bool, None, `Ref`, `Join`, frozen dataclasses, tuples and mappings of these. A wanted value of
    `None` means "not managed": whatever AWS has is right. Sequences whose order has no meaning are kept sorted by the kind
    (see `Kind.normalise`), so that equality is sameness.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One wanted object. `name` is unique within its kind and environment; `title` becomes the `Name` tag."""

    environment: str
    kind: str
    name: str
    title: str
    properties: Properties
    tags: Mapping[str, str] = field(default_factory=dict)
    after: frozenset[Key] = frozenset()
    protected: bool = False

    @property
    def key(self) -> Key:
        return Key(self.environment, f"{self.kind}/{self.name}")

    def all_tags(self) -> dict[str, str]:
        """The tags written in the create call: the operator's own, then ours, which win."""
        return {
            **self.tags,
            TAG_NAME: self.title,
            TAG_ENVIRONMENT: self.environment,
            TAG_ADDRESS: self.key.address,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One object as AWS shows it.

    `properties` has the field names of the kind's `Properties` class (fields that AWS does not return are left out);
    `attributes` is what a `Ref` may ask for, always with `id`; `references` are the AWS ids this object points to, from which
    the order of destruction follows; `pending` means that it exists but is not usable yet (a NAT gateway coming up);
    `tags` is None for objects that AWS cannot tag (routes, associations).
    """

    key: Key
    properties: Mapping[str, Any]
    attributes: Mapping[str, str]
    references: frozenset[str] = frozenset()
    tags: Mapping[str, str] | None = None
    pending: bool = False

    @property
    def id(self) -> str:
        return self.attributes["id"]


Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scope:
    """What one observation covers: environments by name, and what is wanted in them (all kinds)."""

    environments: tuple[str, ...]
    wanted: Mapping[Key, Resource]

    def of_kind(self, kind: str) -> tuple[Resource, ...]:
        return tuple(r for r in self.wanted.values() if r.kind == kind)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A resource at the moment it is acted upon: `properties` is the kind's own class with every reference resolved."""

    resource: Resource
    properties: Any
    tags: Mapping[str, str]
    token: str
    """Unique to this resource in this run: for APIs that take a ClientToken."""
    deadline_s: float

    @property
    def key(self) -> Key:
        return self.resource.key


class Kind(ABC):
    """One kind of AWS object: everything the engine must know of it, in one file of `kinds/`.

    The engine calls `create`, then `settle`; an existing object with in-place changes gets `update`, then `settle`. A create that
    takes several calls may be cut off between them: `observe` must then show what is missing as a field change and `update`
    must be able to finish it.
    """

    name: ClassVar[str]
    properties: ClassVar[type[Properties]]
    attributes: ClassVar[frozenset[str]] = frozenset({"id"})
    iam: ClassVar[Mapping[str, tuple[str, ...]]]
    """Verb (observe, create, update, destroy) to IAM actions (`ec2:CreateSubnet`)."""
    lookup: ClassVar[bool] = False
    """A kind that only looks something up (an image): never created, changed or destroyed."""
    destroy_after: ClassVar[frozenset[str]] = frozenset()
    """Kinds whose objects in the same environment go first even though they do not point to this one."""
    dies_with: ClassVar[frozenset[str]] = frozenset()
    """Kinds whose deletion takes an object of this kind along when it points to theirs (a route goes with its table)."""
    settles: ClassVar[bool] = False
    """Whether `settle` does anything; if so it is called after create and update and for pending objects."""

    @abstractmethod
    def observe(self, reading: Reading, scope: Scope) -> Iterable[Observed]:
        """Yield every object of ours of this kind in the scope's environments, wanted or not."""

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        """Make the object, tags in the same call; return its attributes. May raise AwsError, AwsUnclear."""
        raise TypeError(f"{self.name} cannot be created")

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        """Bring the named fields (may include `tags`) of an existing object to what is wanted, in place."""
        raise TypeError(f"{self.name} cannot be updated")

    def settle(self, cloud: Cloud, attributes: Attributes, deadline_s: float) -> Attributes:
        """Wait until the object is usable by others; return its attributes, now complete."""
        return attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Delete the object and wait until it is gone enough for what it pointed to. Gone already is fine."""
        raise TypeError(f"{self.name} cannot be destroyed")

    def holds(self, cloud: Cloud, observed: Observed) -> str:
        """Why the object must not be destroyed with its environment (a bucket with backups in it), or nothing."""
        return ""

    def normalise(self, field_name: str, value: Any) -> Any:
        """Bring a resolved wanted value to the form `observe` gives, so that equality is sameness."""
        return value


Lookup = Callable[[Ref], Any]


def references(value: Any) -> Iterator[Ref]:
    """Every Ref inside a value, however deep."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Join):
        yield from (part for part in value.parts if isinstance(part, Ref))
    elif isinstance(value, (tuple, list, frozenset)):
        for item in value:
            yield from references(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for spot in dataclasses.fields(value):
            yield from references(getattr(value, spot.name))


def resolve(value: Any, lookup: Lookup) -> Any:
    """The same value with every Ref replaced by what `lookup` says of it."""
    if isinstance(value, Ref):
        return lookup(value)
    if isinstance(value, Join):
        return "".join(part if isinstance(part, str) else str(lookup(part)) for part in value.parts)
    if isinstance(value, (tuple, list, frozenset)):
        return type(value)(resolve(item, lookup) for item in value)
    if isinstance(value, Mapping):
        return {name: resolve(item, lookup) for name, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value,
            **{spot.name: resolve(getattr(value, spot.name), lookup) for spot in dataclasses.fields(value)},
        )
    return value
