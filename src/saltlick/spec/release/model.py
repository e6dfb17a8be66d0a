"""The pillar key `release`, as typed and frozen values: a recipe. It survives a journey through JSON (the journal)."""

from __future__ import annotations

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
    model_validator,
)

from saltlick.spec.fields import Label, Model, form
from saltlick.spec.release.amounts import Amount, Batch, Floor
from saltlick.spec.release.balancing import BalancerSpec, NoBalancer
from saltlick.spec.release.steps import BuildStep, OnceStep, PlacedStep, Seconds, Step

AbsolutePath = Annotated[StrictStr, form(r"/\S*[^/\s]", "a folder: it has to begin with a slash and not end with one")]
RelativePath = Annotated[
    StrictStr, form(r"(?!/)(?!\.\.(/|$))(?!.*/\.\.(/|$))\S+", "a folder inside a release (write it like static/assets)")
]
UserName = Annotated[StrictStr, form(r"[a-z_][a-z0-9_-]*", "the name of a user")]
Wait = Annotated[StrictInt, Field(ge=0, le=86400)]
Interval = Annotated[float, Field(strict=True, ge=0, le=3600)]
OK = 200
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
    soak_s: Wait = Field(0, description="How long to watch the first batch before the next.")
    pause: Pause = Field(Pause.NONE, description="Wait for `release.promote` after the first or every batch.")
    pause_limit_s: Seconds = Field(3600, description="How long to wait for it until all is undone.")
    wait_s: Wait = Field(0, description="How long to wait between batches.")


class Check(Model):
    """One question to a server about itself: exactly one of `http`, `tcp` and `command`."""

    http: Annotated[StrictStr, form(r"https?://\S+", "an address (write it like http://127.0.0.1/health)")] | None = (
        Field(None, description="Address that has to answer.")
    )
    tcp: Annotated[StrictStr, form(r"\S+:\d{1,5}", "an address with a port (write it like 127.0.0.1:9001)")] | None = (
        Field(None, description="Address and port that have to accept a connection.")
    )
    command: Annotated[StrictStr, Field(min_length=1)] | None = Field(
        None, description="Command that has to exit with 0."
    )
    status: StrictInt = Field(OK, ge=100, le=599, description="Status that `http` has to answer with.")
    body: StrictStr | None = Field(None, description="Text that the answer to `http` has to hold.")
    user: UserName | None = Field(None, description="User whom `command` runs as.")

    @model_validator(mode="after")
    def _one_way(self) -> Check:
        if sum(way is not None for way in (self.http, self.tcp, self.command)) != 1:
            raise ValueError("a check is exactly one of `http`, `tcp` and `command`")
        if not self.http and (self.status != OK or self.body is not None):
            raise ValueError("`status` and `body` go with `http`")
        if self.user and not self.command:
            raise ValueError("`user` goes with `command`")
        return self


class Health(Model):
    """When a server is well again, asked on the server itself before it goes back into traffic."""

    readiness_delay_s: Interval = Field(1, description="How long after the start the first question waits.")
    deadline_s: Seconds = Field(30, description="How long it may take to become healthy.")
    interval_s: Interval = Field(1, description="Pause between two questions.")
    timeout_s: Interval = Field(5, description="How long one answer may take.")
    successes: StrictInt = Field(3, ge=1, le=100, description="Good answers in a row that are wanted.")
    checks: tuple[Check, ...] = Field((), description="Questions; all have to be answered well.")


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


class Moment(str, Enum):
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
    on: tuple[Moment, ...] = Field((Moment.STARTED, Moment.DONE, Moment.FAILED), description="What it is told of.")

    @property
    def kept(self) -> bool:
        """Whether the address is here. After a journey through the journal only `sdb://` ones are: look at the pillar again."""
        return self.url.get_secret_value() != MASKED

    @field_serializer("url")
    def _masked(self, url: SecretStr) -> str:
        return text if (text := url.get_secret_value()).startswith("sdb://") else MASKED


class RequestLog(Model):
    """Which log tells how many requests a server answered, for the page of a release."""

    log: AbsolutePath = Field(description="File on the server with a JSON object per line that has `time`.")


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
        default_factory=lambda: NoBalancer.model_validate({}), description="What is in front of the servers."
    )
    build: tuple[BuildStep, ...] = Field(
        (),
        description="Steps that build a revision in its folder `{release}`; `in_place`, in the checkout `{directory}/source`.",
    )
    once: tuple[OnceStep, ...] = Field((), description="Tasks for exactly one server.")
    stop: tuple[Step, ...] = Field((), description="Steps that stop the application on a server out of traffic.")
    kill: tuple[Step, ...] = Field((), description="Steps for when stopping fails or takes too long.")
    start: tuple[Step, ...] = Field((), description="Steps that start it.")
    health: Health = Field(default_factory=lambda: Health.model_validate({}), description="When a server is well.")
    hooks: Hooks = Field(default_factory=lambda: Hooks.model_validate({}), description="Steps at certain moments.")
    windows: Windows | None = Field(None, description="When no release may begin.")
    webhook: Webhook | None = Field(None, description="Who is told.")
    traffic: RequestLog | None = Field(None, description="Where requests are counted.")
