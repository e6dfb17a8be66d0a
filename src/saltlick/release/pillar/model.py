"""The pillar key `release`, as typed and frozen values: a recipe. It survives a journey through JSON (the journal)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    StrictStr,
    field_serializer,
)

from saltlick.fleet.balancers.pillar import BalancerSpec, NoBalancerSpec
from saltlick.fleet.health import HealthSpec
from saltlick.fleet.step import BuildStep, OnceStep, PlacedStep, Seconds, Step
from saltlick.release.pillar.amounts import Amount, Batch, Floor
from saltlick.schema.fields import AbsolutePath, Label, Model, RelativePath, UserName, form

SharedName = Annotated[
    StrictStr,
    form(
        r"((?!\.{1,2}/)[^/\s]+/)*(?!\.{1,2}/?$)[^/\s]+/?",
        "a name inside a release (write it like uploads/ or config/local.ini)",
    ),
]
Wait = Annotated[StrictInt, Field(ge=0, le=86400)]
VariableName = Annotated[
    StrictStr, form(r"[A-Za-z_][A-Za-z0-9_]*", "a name of an environment variable (letters, digits and _)")
]
MASKED = "**********"


class Source(Model):
    """Where revisions come from, and where they go on each server: `releases/<sha>`, with `current` pointing at one."""

    repository: StrictStr = Field(min_length=1, description="Git repository.")
    directory: AbsolutePath = Field(description="Folder on the server that holds `releases/`, `current` and `source/`.")
    user: UserName = Field("root", description="User on the server whom the files belong to.")
    keep: StrictInt = Field(5, ge=1, le=100, description="How many good releases stay. Current and previous always do.")
    min_free_mb: StrictInt = Field(200, ge=0, description="Free space without which a release is refused.")
    bridge: tuple[RelativePath, ...] = Field(
        (), description="Folders inside a release in which the files of the previous one stay readable (assets)."
    )
    shared: tuple[SharedName, ...] = Field(
        (),
        description="Files and folders that all revisions have in common, such as uploads: links to `{directory}/shared`. A "
        "folder ends with a slash (`uploads/`) and is made where it is not there; a file has to be there.",
    )


class StrategyKind(str, Enum):
    """How a revision gets onto a server."""

    PREPARED = "prepared"
    IN_PLACE = "in_place"


class Pause(str, Enum):
    """After which batches a release waits for `release.promote`."""

    NONE = "none"
    CANARY = "canary"
    EVERY = "every"


class Strategy(Model):
    """How the servers are gone through."""

    kind: StrategyKind = Field(
        StrategyKind.PREPARED,
        description="`prepared` builds beside the running revision and then switches; `in_place` takes a server out and "
        "does everything there.",
    )
    batch: Batch = Field(
        (Amount(1), Amount(100, percent=True)),
        min_length=1,
        description="Servers at once: a count, a percent of the group (rounded down, at least one), or a growing list whose "
        "last entry repeats.",
    )
    floor: Floor | None = Field(
        None,
        description="Never fewer servers in traffic than this, a count or a percent (rounded up); wins over `batch`. Left "
        "out: one, where the group has more than one server.",
    )
    by_zone: StrictBool = Field(True, description="Finish a zone before the next.")
    max_failures: StrictInt = Field(0, ge=0, description="Servers that may fail or fall silent before all is undone.")
    soak_s: Wait = Field(
        15,
        description="How long the servers that have the revision are watched after each batch, the last one too: by the "
        "balancer and by their own checks. One that falls ill has failed. Longer than the balancer's own check needs to find a "
        "server ill (interval times failures) is sensible; 0 turns it off.",
    )
    max_errors: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        5,
        description="Percent of answers with a status of 5xx, on top of the server's share before the release, beyond which a "
        "server that is back counts as ill. Read from the log under `traffic`, of 20 requests or more; 100 turns it off.",
    )
    canary_soak_s: Wait = Field(0, description="How long at least after the first batch.")
    pause: Pause = Field(Pause.NONE, description="Wait for `release.promote` after the first or every batch.")
    pause_limit_s: Seconds = Field(3600, description="How long to wait for it until all is undone.")
    wait_s: Wait = Field(0, description="How long to wait between batches.")


class Hooks(Model):
    """Steps at certain moments, on the master unless they say `on: server`. A failing `pre_` hook stops the release."""

    pre_release: tuple[PlacedStep, ...] = Field((), description="Before anything is touched.")
    pre_host: tuple[PlacedStep, ...] = Field((), description="Before each server goes out of traffic.")
    post_host: tuple[PlacedStep, ...] = Field((), description="After each server is back.")
    post_batch: tuple[PlacedStep, ...] = Field((), description="After each batch.")
    post_release: tuple[PlacedStep, ...] = Field((), description="When all servers are done.")
    on_failure: tuple[PlacedStep, ...] = Field((), description="When a release fails, before it is undone.")
    on_rollback: tuple[PlacedStep, ...] = Field((), description="When it has been undone.")


class Windows(Model):
    """When no release may begin, unless `force=window` says so."""

    timezone: StrictStr = Field("UTC", description="Whose clock: a name like `Europe/Berlin`.")
    deny: tuple[StrictStr, ...] = Field(
        (), description="Times of the week: `Fri 15:00-24:00`, `Sat`, `Mon-Fri 22:00-06:00`."
    )
    freeze: tuple[StrictStr, ...] = Field((), description="Days, first and last included: `2026-12-20..2027-01-03`.")


class HookEvent(str, Enum):
    """What a webhook is told of."""

    STARTED = "started"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


def _address(url: SecretStr) -> SecretStr:
    if (text := url.get_secret_value()) != MASKED and not text.startswith(("https://", "http://", "sdb://")):
        raise ValueError("an address begins with https://, http:// or sdb://")
    return url


class Webhook(Model):
    """An address that is told, as JSON, how releases go. An address may be a secret: no log and no journal has it."""

    url: Annotated[SecretStr, AfterValidator(_address)] = Field(
        description="`https://…`, or `sdb://…` where the address is looked up."
    )
    on: tuple[HookEvent, ...] = Field(
        (HookEvent.STARTED, HookEvent.DONE, HookEvent.FAILED), description="What it is told of."
    )

    @property
    def kept(self) -> bool:
        """Whether the address is here. After a journey through the journal only `sdb://` ones are: look at the pillar again."""
        return self.url.get_secret_value() != MASKED

    @field_serializer("url")
    def _masked(self, url: SecretStr) -> str:
        return text if (text := url.get_secret_value()).startswith("sdb://") else MASKED


class RequestLog(Model):
    """Which log tells how many requests a server answered, and how: for the soak and for the page of a release."""

    log: AbsolutePath = Field(
        description="File on the server with a JSON object per line that has `time` and `status`."
    )


class Recipe(Model):
    """How a revision gets onto the servers of a group, and back.

    Texts of steps, checks and names may hold placeholders: `{environment}`, `{application}`, `{server}`, `{rev}`, `{sha}`,
    `{previous}`, `{directory}`, `{release}`, `{user}`, `{who}`, `{id}`; in hooks also `{servers}`, `{seconds}` and `{reason}`.
    """

    application: Label = Field(description="Name of the application.")
    servers: Label = Field(description="Server group of the environment that it runs on.")
    source: Source = Field(description="Where revisions come from and go.")
    strategy: Strategy = Field(
        default_factory=lambda: Strategy.model_validate({}), description="How the servers are gone through."
    )
    balancer: BalancerSpec = Field(
        default_factory=lambda: NoBalancerSpec.model_validate({}), description="What is in front of the servers."
    )
    environment: Mapping[VariableName, StrictStr] = Field(
        default_factory=dict,
        description="Environment variables of all commands of steps on servers. A value may be an `sdb://` address.",
    )
    env_file: AbsolutePath | None = Field(
        None,
        description="File on each server whose assignments (`NAME=value`, as a shell reads them) are in the environment of every "
        "`run`. It is read when the step runs, as the step's user; a step fails where it is missing.",
    )
    build: tuple[BuildStep, ...] = Field(
        (),
        description="Steps that build a revision in its folder `{release}`; `in_place`, in the checkout `{directory}/source`.",
    )
    once: tuple[OnceStep, ...] = Field((), description="Tasks for exactly one server.")
    stop: tuple[Step, ...] = Field((), description="Steps that stop the application on a server out of traffic.")
    kill: tuple[Step, ...] = Field((), description="Steps for when stopping fails or takes too long.")
    start: tuple[Step, ...] = Field((), description="Steps that start it.")
    health: HealthSpec = Field(
        default_factory=lambda: HealthSpec.model_validate({}), description="When a server is well."
    )
    hooks: Hooks = Field(default_factory=lambda: Hooks.model_validate({}), description="Steps at certain moments.")
    windows: Windows | None = Field(None, description="When no release may begin.")
    webhook: Webhook | None = Field(None, description="Who is told.")
    traffic: RequestLog | None = Field(
        None, description="Where requests are counted, and those that were answered with an error."
    )
