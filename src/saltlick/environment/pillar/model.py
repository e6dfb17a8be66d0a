"""The pillar key `environment`, as typed and frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr

from saltlick.environment.pillar.buckets import BucketSpec
from saltlick.environment.pillar.network import FirewallRule, Tier
from saltlick.environment.pillar.servers import ImageSpec, LoadBalancerSpec, ServerGroup
from saltlick.schema.fields import AwsNetwork, Label, Labels, Model, TagKey, TagValue, form

Region = Annotated[StrictStr, form(r"[a-z]{2}(-[a-z]+)+-\d", "a region (write it like us-east-1)")]
Zone = Annotated[StrictStr, form(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", "a zone (write it like us-east-1a)")]
ResourceName = Annotated[
    StrictStr, form(r"[A-Za-z0-9][A-Za-z0-9.:/_-]*", "a name: letters, digits and any of . : / _ - only")
]
PolicyArn = Annotated[
    StrictStr, form(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+", "the ARN of a managed policy of IAM")
]


def _kind(kind: str) -> str:
    if "/" in kind:
        raise ValueError(f"{kind} is not a kind; write `kind: {kind.partition('/')[0]}` and `name:` apart")
    return kind


HostAddress = Annotated[StrictStr, form(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?", "a host name or an IP address")]
GitAddress = Annotated[
    StrictStr, form(r"([A-Za-z0-9/.][\w@:/.+~%?=&,-]*)?", "the address of a git repository, without quotes")
]
GitRevision = Annotated[StrictStr, form(r"[\w][\w./+-]*", "a SHA, a tag or a branch")]


class Salt(Model):
    """How servers find their Salt master, and where a master gets this project from."""

    master: HostAddress | None = Field(
        None, description="Address of the master. Left out: the server with `boot: master`, here or in a peer."
    )
    repository: GitAddress = Field("", description="Git repository of this project that a master installs.")
    revision: GitRevision = Field("main", description="Revision of that repository.")


class Deadlines(Model):
    """How long to wait, in seconds, before a wait is called failed."""

    resource_s: StrictInt = Field(900, ge=1, description="For one AWS object to become usable.")
    ready_s: StrictInt = Field(900, ge=1, description="For a new server to offer its key and answer.")
    highstate_s: StrictInt = Field(1800, ge=1, description="For one tier of servers to be configured.")
    smoke_s: StrictInt = Field(180, ge=1, description="For the page to come through the balancer.")


class LongForm(Model):
    """One AWS object in the long form: any kind, any of its properties.

    A property's value may be a reference, `{ref: subnet/public-az1}`: the id of that object, or `attribute` of it, in
    this environment or in `environment`; `{join: [text, {ref: …}]}` puts texts together.
    """

    kind: Annotated[StrictStr, AfterValidator(_kind)] = Field(description="Kind of object, like `subnet`.")
    name: ResourceName = Field(description="Unique within the kind; `<kind>/<name>` is its address.")
    title: StrictStr | None = Field(
        None, max_length=255, description="The `Name` tag. Left out: `<environment>-<name>`."
    )
    properties: Mapping[str, Any] = Field(default_factory=dict, description="Fields of the kind.")
    tags: Mapping[TagKey, TagValue] = Field(default_factory=dict, description="Tags of its own.")
    after: tuple[StrictStr, ...] = Field(
        (), description="Addresses that have to exist first, though nothing refers to them."
    )
    protected: StrictBool = Field(False, description="Refuse to destroy it.")
    override: StrictBool = Field(
        False, description="Change an object that the short form makes: what is given here replaces what it says."
    )


class Environment(Model):
    """One VPC, in one region, with everything in it."""

    name: Label = Field(max_length=40, description="Name of the environment; has to be the `pillarenv`.")
    region: Region = Field(description="AWS region.")
    cidr: AwsNetwork = Field(description="Network of the VPC.")
    zones: tuple[Zone, ...] = Field(
        min_length=1, description="Availability zones, in order: the first is `az1` in names."
    )
    subnets: Mapping[Label, Tier] = Field(default_factory=dict, description="Tiers of subnets by name.")
    production: StrictBool = Field(False, description="Refuse destroy, data refresh into it, and off-hours.")
    insecure: StrictBool = Field(
        False,
        description="Allow example passwords, sources over plain HTTP and revisions that can move, though it is production or "
        "boots a master. For a sandbox only: on AWS it is refused.",
    )
    peers: Labels = Field((), description="Environments to connect with; both sides of the peering belong to this one.")
    firewall: Mapping[Label, tuple[FirewallRule, ...]] = Field(
        default_factory=dict, description="Firewall groups by name, each with the rules for what may come in."
    )
    servers: Mapping[Label, ServerGroup] = Field(default_factory=dict, description="Server groups by name.")
    balancers: Mapping[Label, LoadBalancerSpec] = Field(default_factory=dict, description="Load balancers by name.")
    buckets: Mapping[Label, BucketSpec] = Field(default_factory=dict, description="Buckets of S3 by name, for backups.")
    image: ImageSpec | None = Field(None, description="Machine image of all server groups that name none.")
    key_pairs: Mapping[StrictStr, StrictStr] = Field(default_factory=dict, description="Public keys by name.")
    tags: Mapping[TagKey, TagValue] = Field(default_factory=dict, description="Tags on every object.")
    salt: Salt = Field(default_factory=lambda: Salt.model_validate({}), description="The Salt side.")
    permissions_boundary: PolicyArn | None = Field(
        None,
        description="ARN of the managed policy that bounds the roles of its servers. A master's own policy asks for one.",
    )
    deadlines: Deadlines = Field(default_factory=lambda: Deadlines.model_validate({}), description="How long to wait.")
    resources: tuple[LongForm, ...] = Field((), description="The long form: objects the short form does not know.")
