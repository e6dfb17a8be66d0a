"""What stands in front of the servers of a release, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StrictStr, Tag, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from saltlick.fleet.step import PlacedStep, Seconds
from saltlick.schema.fields import Label, Labels, Model

SELF = "self"

_DRAIN = "How long requests in flight may take until a server is taken out anyway."
_RESTORE = "How long until the balancer has to report a server healthy that was put back."


def _names(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


Names = Annotated[
    tuple[StrictStr, ...],
    BeforeValidator(_names),
    AfterValidator(tuple),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class NoBalancerSpec(Model):
    """Nothing in front: servers are stopped as they are, or what is in front notices by itself."""

    kind: Literal["none"] = Field("none", description="This kind.")


class Elbv2Spec(Model):
    """A load balancer of the environment: deregister, wait until it has left draining; register, wait until healthy."""

    kind: Literal["elbv2"] = Field(description="This kind.")
    name: Label = Field(description="Name of the balancer under `environment.balancers`.")
    drain_s: Seconds = Field(
        30, description="How long to wait for it: at least `drain_s` of that balancer, which AWS takes in any case."
    )
    restore_s: Seconds = Field(60, description=_RESTORE)


class HaproxySpec(Model):
    """HAProxy over its runtime socket: drain, wait for sessions to end, maint; ready. All HAProxies have to agree."""

    kind: Literal["haproxy"] = Field(description="This kind.")
    on: Labels = Field(
        min_length=1, description="Server groups that run the HAProxies, or `self`: each server its own."
    )
    backend: StrictStr = Field(description="Name of the backend.")
    server: Names = Field(
        ("{server}",), min_length=1, description="Names of the server in that backend, one or more; takes placeholders."
    )
    socket: StrictStr = Field("/run/haproxy/admin.sock", description="The runtime socket, with level admin.")
    drain_s: Seconds = Field(30, description=_DRAIN)
    restore_s: Seconds = Field(60, description=_RESTORE)


class ServiceSpec(Model):
    """A service on the server that the balancer in front asks: stopped, the server gets no more requests."""

    kind: Literal["service"] = Field(description="This kind.")
    service: StrictStr = Field(min_length=1, description="Name of the service.")
    look: PlacedStep | None = Field(
        None,
        description="Says whether a server is in traffic, as seen by whatever is in front: good means in, failed means out, or "
        '`{"traffic": "in", "sessions": 3}`. Left out: whether the service runs.',
    )
    drain_s: Seconds = Field(30, description=_DRAIN)
    restore_s: Seconds = Field(60, description=_RESTORE)


class CommandSpec(Model):
    """Any balancer that Salt has functions for."""

    kind: Literal["command"] = Field(description="This kind.")
    drain: tuple[PlacedStep, ...] = Field(min_length=1, description="Steps that take `{server}` out; may be repeated.")
    restore: tuple[PlacedStep, ...] = Field(min_length=1, description="Steps that put it back; may be repeated.")
    look: PlacedStep = Field(
        description="Says whether a server is in traffic: good means in, failed means out, or "
        '`{"traffic": "in", "sessions": 3}` with `in`, `draining`, `out` or `unhealthy`.'
    )
    drain_s: Seconds = Field(30, description=_DRAIN)
    restore_s: Seconds = Field(60, description=_RESTORE)


class BalancerKind(str, Enum):
    """The kinds there are."""

    NONE = "none"
    ELBV2 = "elbv2"
    HAPROXY = "haproxy"
    SERVICE = "service"
    COMMAND = "command"


class UnknownBalancerSpec(Model):
    """Never valid: says which kinds there are when `kind` is none of them."""

    model_config = Model.model_config | {"extra": "ignore"}
    kind: BalancerKind


def _tag(value: Any) -> str:
    """Tags are no words that could be keys of a pillar: they stay out of the paths of problems."""
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return f"kind={kind}" if isinstance(kind, str) and kind in set(BalancerKind) else "kind=?"


BalancerSpec = Annotated[
    Union[  # noqa: UP007 - tags need it
        Annotated[Elbv2Spec, Tag("kind=elbv2")],
        Annotated[HaproxySpec, Tag("kind=haproxy")],
        Annotated[ServiceSpec, Tag("kind=service")],
        Annotated[CommandSpec, Tag("kind=command")],
        Annotated[NoBalancerSpec, Tag("kind=none")],
        Annotated[SkipJsonSchema[UnknownBalancerSpec], Tag("kind=?")],
    ],
    Discriminator(_tag),
]
