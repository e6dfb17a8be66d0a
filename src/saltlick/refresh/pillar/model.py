"""The pillar key `refresh`, as typed and frozen values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt

from saltlick.backup.pillar.model import RestoreCheck, Script
from saltlick.fleet.step import Seconds, Step
from saltlick.schema.fields import Label, Model
from saltlick.schema.problems import shown

NOTHING_PERSONAL = "nothing_personal"


def _mask(value: Any) -> Any:
    if isinstance(value, (list, tuple)) or value == NOTHING_PERSONAL:
        return value
    raise ValueError(f"{shown(value)} is neither a list of scripts nor {NOTHING_PERSONAL}")


class RefreshedApplication(Model):
    """What uses the data, and how it is stopped and started around the change: one server after another."""

    servers: Label = Field(description="Server group of the environment.")
    stop: tuple[Step, ...] = Field((), description="Steps before the data changes.")
    start: tuple[Step, ...] = Field((), description="Steps after it.")


class Refresh(Model):
    """Another environment's data for this one: restored beside what serves, masked and proved there, and then exchanged."""

    source: Label = Field(description="The environment whose data it is.")
    job: Label = Field(description="The backup job there that has it.")
    store: Label = Field(description="The job's store, by its name in the pillar of the servers here.")
    servers: Label = Field(description="Server group here that gets it.")
    newest: StrictBool = Field(
        True, description="Take a backup first, so that it is the data of now; else the last one is used."
    )
    mask: Annotated[tuple[Script, ...] | Literal["nothing_personal"], BeforeValidator(_mask)] = Field(
        description="Scripts that make people unrecognisable; `nothing_personal` where there is nobody in it."
    )
    mail: tuple[Script, ...] = Field((), description="Scripts that switch outgoing mail off.")
    checks: tuple[RestoreCheck, ...] = Field(
        min_length=1, description="What has to be true of the masked data: counts, age, that nobody is recognisable."
    )
    application: RefreshedApplication | None = Field(None, description="What is stopped and started around it.")
    after: tuple[Step, ...] = Field(
        (), description="Steps on the primary afterwards, such as `state.apply postgresql`."
    )
    deadline_s: Seconds = Field(7200, description="How long restoring may take.")
    max_age_s: Annotated[StrictInt, Field(ge=60)] = Field(26 * 3600, description="How old the data may be.")

    @property
    def masks(self) -> tuple[Script, ...]:
        """The scripts that mask, in their order."""
        return self.mask if isinstance(self.mask, tuple) else ()
