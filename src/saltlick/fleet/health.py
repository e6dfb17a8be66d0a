"""When a server is well: the questions that it is asked, as the pillar has them."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)

from saltlick.fleet.step import Seconds
from saltlick.schema.fields import Model, UserName, form

Interval = Annotated[float, Field(strict=True, ge=0, le=3600)]


OK = 200


class HealthCheck(Model):
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
    def _one_way(self) -> HealthCheck:
        if sum(way is not None for way in (self.http, self.tcp, self.command)) != 1:
            raise ValueError("a check is exactly one of `http`, `tcp` and `command`")
        if not self.http and (self.status != OK or self.body is not None):
            raise ValueError("`status` and `body` go with `http`")
        if self.user and not self.command:
            raise ValueError("`user` goes with `command`")
        return self


class HealthSpec(Model):
    """When a server is well again, asked on the server itself before it goes back into traffic."""

    readiness_delay_s: Interval = Field(1, description="How long after the start the first question waits.")
    deadline_s: Seconds = Field(30, description="How long it may take to become healthy.")
    interval_s: Interval = Field(1, description="Pause between two questions.")
    timeout_s: Interval = Field(5, description="How long one answer may take.")
    successes: StrictInt = Field(3, ge=1, le=100, description="Good answers in a row that are wanted.")
    checks: tuple[HealthCheck, ...] = Field((), description="Questions; all have to be answered well.")
