"""The pillar key `notify`, as typed and frozen values, and its reading."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, SecretStr, StrictInt, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from saltlick.errors import InvalidInput, Problem
from saltlick.notify.apprise_urls import SECRET_SCHEME, problem_of
from saltlick.notify.condition import Feature, Severity
from saltlick.schema.fields import Label, Model
from saltlick.schema.problems import problems

NOTIFY_KEY = "notify"


def _url(value: SecretStr) -> SecretStr:
    if problem := problem_of(value.get_secret_value()):
        raise ValueError(problem)
    return value


class TargetSeverity(str, Enum):
    """What a target can be told of. That something is green again is told to whoever knows that it was red."""

    WARNING = Severity.WARNING.value
    FAILURE = Severity.FAILURE.value


class NotifyTarget(Model):
    """Who is told of what, or the address alone."""

    url: Annotated[SecretStr, AfterValidator(_url)] = Field(
        description="An address of [Apprise](https://appriseit.com/services/): `mailto://…`, `slack://…`, `ntfy://…`, "
        f"`pagerduty://…`, `json://…`; or the `{SECRET_SCHEME}` address at which the master finds it."
    )
    features: tuple[Feature, ...] = Field((), description="Of which features. Left out: of all.")
    severities: tuple[TargetSeverity, ...] = Field(
        (TargetSeverity.WARNING, TargetSeverity.FAILURE),
        min_length=1,
        description="`failure` (something failed, or is missing), `warning` (it cannot be seen, or it is not as declared). "
        "Whoever is told that something is red is told when it is green again.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shape = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"type": "string", "examples": ["ntfy://topic"]}, shape]}

    def wants(self, feature: Feature, severity: Severity) -> bool:
        """Whether it is told of such a state."""
        return (not self.features or feature in self.features) and severity.value in {
            wanted.value for wanted in self.severities
        }


class Notify(Model):
    """Who is told when something of the environment turns red, and when it is green again."""

    remind_s: Annotated[StrictInt, Field(ge=300, le=30 * 86400)] = Field(
        4 * 3600, description="How long something stays red before it is told again, in seconds."
    )
    targets: Mapping[Label, NotifyTarget] = Field(min_length=1, description="Who is told, by name.")


def parse_notify(pillar: Mapping[str, Any], environment: str) -> Notify | None:
    """What a compiled pillar has under `notify`; None where it has nothing. No address is written to: each is only read.

    Raises: InvalidInput with every problem, each with its path and none with an address.
    """
    raw, what = pillar.get(NOTIFY_KEY), f"pillar of {environment}"
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise InvalidInput([Problem(NOTIFY_KEY, "this has to be a mapping of names to values")], what=what)
    try:
        return Notify.model_validate(raw)
    except ValidationError as error:
        raise InvalidInput(sorted(problems(error, Notify, raw, NOTIFY_KEY)), what=what) from None
