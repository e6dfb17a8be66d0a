"""What off-hours need from the world outside: an account to look at, Custodian to act, an application to take along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from saltlick.fleet.ports import Reply
from saltlick.offhours.policies import Policy
from saltlick.offhours.schedule import OnOff
from saltlick.offhours.turns import Turn


class PowerState(str, Enum):
    """How a thing stands."""

    ON = "on"
    OFF = "off"
    MOVING = "moving"

    def is_at(self, side: OnOff) -> bool:
        """Whether it is where that side wants it."""
        return self.value == side.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchedObject:
    """One server, database or Auto Scaling group, as AWS has it now."""

    id: str
    name: str
    group: str = ""
    power: PowerState
    state: str
    """In AWS's words."""
    never: str = ""
    """Why it must not be touched, though it looks as if it were ours."""
    opted_out: bool = False


class Account(Protocol):
    """AWS, asked anew each time."""

    def look(self, turn: Turn) -> tuple[SwitchedObject, ...]:
        """Everything that looks as if it belonged to a turn. Whether it does, was checked object by object."""


class Custodian(Protocol):
    """Cloud Custodian. Raises: NotReady when it is not there; CustodianFailed."""

    def validate(self, policies: Sequence[Policy]) -> None:
        """Hold policies against Custodian's own schema. Raises: InvalidInput with what it says."""

    def run(self, policies: Sequence[Policy]) -> Mapping[str, tuple[str, ...]]:
        """Carry policies out; by policy, the ids of what it acted on. That AWS did it, it does not say: look."""


class ApplicationControl(Protocol):
    """What runs on the servers, and what is in front of them. One reply per server."""

    def leave(self, group: str, servers: Sequence[str]) -> Mapping[str, Reply]:
        """Take servers out of traffic and stop what runs there."""

    def enter(self, group: str, servers: Sequence[str], *, deadline_s: float) -> Mapping[str, Reply]:
        """Wait until servers that were started answer and are well, and put them into traffic."""
