"""How one thing of an environment stands: what people are told of, and what is remembered of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How bad it is. The words are Apprise's."""

    OK = "ok"
    WARNING = "warning"
    """It cannot be seen how it stands, or it is not as declared."""
    FAILURE = "failure"
    """Something is known to have failed, or to be missing."""


class Feature(str, Enum):
    """Whose condition it is."""

    ENVIRONMENT = "environment"
    RELEASE = "release"
    BACKUP = "backup"
    REFRESH = "refresh"
    OFFHOURS = "offhours"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing at one moment. `environment`, `feature` and `name` say which; `known` is empty where all is well."""

    environment: str
    feature: Feature
    name: str
    severity: Severity
    known: tuple[str, ...] = ()
    """What was seen, a sentence each."""
    unknown: tuple[str, ...] = ()
    """What nobody could see, a sentence each."""
    next_commands: tuple[str, ...] = ()
    """What to type now."""

    @property
    def red(self) -> bool:
        return self.severity is not Severity.OK

    @property
    def title(self) -> str:
        """Which thing it is, for people: `prod: backup database`."""
        return f"{self.environment}: {self.feature.value} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedCondition:
    """The last condition of a thing. For one that is green again, `condition` says what was red."""

    condition: Condition
    since: float
    """Seconds since the epoch at which it turned red."""
    green_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecord:
    """What one target was told of one thing. `told_at` is None where nothing could be delivered yet."""

    severity: Severity
    told_at: float | None
    error: str = ""
    """Why the last message was not delivered; empty where it was."""
