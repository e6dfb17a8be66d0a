"""What a rollout needs from the world outside: servers that do what they are told, and a balancer in front of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """One execution function with its arguments: `Call("service.stop", ("varnish",))`."""

    function: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    hide: tuple[str, ...] = ()
    """Secrets that nobody may see of the call, encrypted to the server; on the master their addresses."""

    def __str__(self) -> str:
        words = [*map(str, self.args), *(f"{name}={value}" for name, value in self.kwargs.items())]
        return " ".join((self.function, *words))


@dataclass(frozen=True, slots=True)
class Reply:
    """What one server made of one call. `silent`: no answer came before the deadline."""

    ok: bool
    value: Any = None
    error: str = ""
    silent: bool = False
    duration_ms: int = 0


class Fleet(Protocol):
    """Calls functions on servers. Silence is an answer: each server that was named has its reply, whatever happened."""

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> Mapping[str, Reply]:
        """Give each server its call, all at once; one reply per server named, at the latest after `deadline_s`."""


class Traffic(str, Enum):
    """Where a server stands in the eyes of the balancer."""

    IN = "in"
    DRAINING = "draining"
    OUT = "out"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Seen:
    """One server as the balancer shows it; `sessions` where it counts them."""

    traffic: Traffic
    detail: str = ""
    sessions: int | None = None


class Balancer(Protocol):
    """Puts servers in and out of traffic. Waits by looking, with a deadline; repeating any call is harmless."""

    def look(self, servers: Sequence[str]) -> Mapping[str, Seen]:
        """Where each server stands now."""

    def drain(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        """Take servers out of traffic; returns when each is out, or its deadline has passed and it was put out anyway.

        `value` of a good reply: `{"how": "drained" | "timed out", "sessions": 0}`, without `sessions` where nobody counts. A
        server that does not answer any more can still be drained, wherever the balancer itself can do that.
        """

    def restore(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        """Put servers back; good once the balancer itself reports each as in traffic and healthy."""
