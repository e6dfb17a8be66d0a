"""Server groups, balancers and images as the pillar has them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from saltlick.environment.pillar.buckets import BucketAccess, BucketName
from saltlick.kinds.instance import DEFAULT_VOLUME_GB
from saltlick.schema.fields import Address, Label, Labels, Model, form

NEEDS_A_SLASH = "a path: it has to begin with a slash"

InstanceType = Annotated[StrictStr, form(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "an instance type (write it like t3.small)")]
Role = Annotated[
    StrictStr,
    form(
        r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*",
        "the name of a formula: lower-case letters, digits and underscores only",
    ),
]
UrlPath = Annotated[StrictStr, form(r"/\S*", NEEDS_A_SLASH)]
ImageId = Annotated[StrictStr, form(r"ami-[0-9a-f]+", "an image id (write it like ami-0123456789abcdef0)")]
Parameter = Annotated[StrictStr, form(r"/\S+", NEEDS_A_SLASH)]
HttpCodes = Annotated[StrictStr, form(r"\d{3}([,-]\d{3})*", "a list of HTTP codes (write it like 200,204 or 200-299)")]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]


class ImageSpec(Model):
    """Which machine image: exactly one of an id, an SSM parameter, or a name pattern with its owner (newest wins)."""

    id: ImageId | None = Field(None, description="An image id: never moves.")
    ssm: Parameter | None = Field(None, description="An SSM parameter that holds an image id.")
    name: StrictStr | None = Field(None, description="Name pattern (`debian-12-amd64-*`); the newest match is taken.")
    owner: StrictStr | None = Field(None, description="Account id or alias that has to own an image found by name.")

    @model_validator(mode="after")
    def _one_way(self) -> ImageSpec:
        if sum(way is not None for way in (self.id, self.ssm, self.name)) != 1:
            raise ValueError("an image is chosen by exactly one of `id`, `ssm`, or `name` with `owner`")
        if (self.name is None) != (self.owner is None):
            raise ValueError("`name` and `owner` go together: anybody can publish an image under any name")
        return self


class BootAs(str, Enum):
    """What a server becomes at first boot."""

    MINION = "minion"
    MASTER = "master"
    NONE = "none"


class ServerGroup(Model):
    """N like servers, named `<environment>-<group>-<n>`, spread over the zones in turn."""

    type: InstanceType = Field(description="Instance type, like `t3.small`.")
    subnet: Label = Field(description="Tier of subnets they stand in.")
    firewall: Labels = Field(min_length=1, description="Firewall groups they belong to.")
    count: StrictInt | None = Field(None, ge=0, le=999, description="How many. Left out: as many as `names`, or one.")
    names: tuple[Label, ...] = Field((), description="Explicit names in place of `<environment>-<group>-<n>`.")
    roles: tuple[Role, ...] = Field((), description="Formulas that make a server what it is, in this order.")
    tier: StrictInt | None = Field(
        None,
        ge=1,
        description="Groups are configured tier by tier, those of one tier at once. "
        "Left out: the group's place among the groups, counted from 1.",
    )
    image: ImageSpec | None = Field(None, description="In place of the environment's `image`.")
    boot: BootAs = Field(BootAs.MINION, description="What first boot makes of it: a `minion`, the `master`, or `none`.")
    private_ips: tuple[Address, ...] = Field((), description="Fixed private addresses, one per server, in order.")
    elastic_ip: bool = Field(False, description="An Elastic IP for each server.")
    public_ip: bool = Field(False, description="A public address from AWS's pool at launch; lost when stopped.")
    key_pair: StrictStr | None = Field(None, description="Name of an SSH key pair. Not needed in normal operation.")
    volume_gb: StrictInt | None = Field(
        None, ge=1, le=16384, description=f"Size of the root volume. Left out: {DEFAULT_VOLUME_GB}."
    )
    iam_policy: Literal["saltlick"] | Mapping[str, Any] | None = Field(
        None, description="What its instances may do in AWS: a policy document, or `saltlick` for what a master needs."
    )
    iam_roles: StrictBool = Field(
        False, description="With `iam_policy: saltlick`: also make roles and instance profiles, under a boundary."
    )
    iam_buckets: tuple[StrictStr, ...] = Field(
        (),
        description="With `iam_policy: saltlick`: names in S3 of the buckets that it may make, with `*` for any text.",
    )
    buckets: Mapping[BucketName, BucketAccess] = Field(
        default_factory=dict,
        description="What its instances may do in buckets, by their names in S3; buckets of other environments, too.",
    )
    protected: bool = Field(False, description="Refuse to destroy or replace these servers.")
    ready_s: StrictInt | None = Field(None, ge=1, description="In place of `deadlines.ready_s`.")


class LoadBalancerSpec(Model):
    """An application load balancer with one listener and one target group, over all servers of the named groups."""

    servers: Labels = Field(min_length=1, description="Server groups that answer.")
    subnet: Label = Field(description="Tier of subnets it stands in; at least two zones.")
    firewall: Labels = Field(min_length=1, description="Firewall groups it belongs to.")
    port: Port = Field(80, description="Port it listens at (HTTP).")
    target_port: Port | None = Field(None, description="Port of the servers. Left out: the same.")
    health: UrlPath = Field("/health", description="Path that says whether a server is well.")
    health_codes: HttpCodes = Field("200", description="HTTP codes that mean well.")
    drain_s: StrictInt = Field(
        30,
        ge=0,
        le=3600,
        description="How long requests to a server that is taken out may take to end. AWS shows it as draining for all of that "
        "time, and a release waits for it: long enough for the slowest request, and no longer.",
    )
    internal: bool = Field(False, description="Only reachable inside the network.")
