"""Injects the faults of a cloud API on request: latency, throttling, server errors, lost answers. All off by default."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from random import Random

from saltlick.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Which faults to inject. Rates are shares of calls, 0 to 1."""

    latency_ms: float = 0
    throttle_rate: float = 0
    error_rate: float = 0
    late_error_rate: float = 0
    lost_rate: float = 0
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"{name}: {value} is not between 0 and {top}"
            for name, top in (("latency_ms", 60_000), *((rate, 1) for rate, _ in _BY_RATE))
            if not 0 <= (value := getattr(self, name)) <= top
        ]
        if problems:
            raise InvalidInput(problems, what="faults")


class Fault(Enum):
    """What goes wrong with one call."""

    THROTTLED = "throttled"
    """The call is not carried out."""
    ERROR = "error"
    """The call is not carried out; the answer is a 500."""
    LATE_ERROR = "late error"
    """The call is carried out; the answer is a 500."""
    LOST = "lost"
    """The call is carried out; the connection is closed instead of an answer."""

    @property
    def carried_out(self) -> bool:
        return self in {Fault.LATE_ERROR, Fault.LOST}


_BY_RATE = (
    ("throttle_rate", Fault.THROTTLED),
    ("error_rate", Fault.ERROR),
    ("late_error_rate", Fault.LATE_ERROR),
    ("lost_rate", Fault.LOST),
)


class FaultInjector:
    """Draws the fault of each call; the same seed gives the same sequence."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.set(faults or Faults())

    def set(self, faults: Faults) -> None:
        self.faults = faults
        self._random = Random(faults.seed)  # noqa: S311

    def draw(self) -> Fault | None:
        """The fault of the next call; None when it succeeds."""
        drawn, limit = self._random.random(), 0.0
        for rate, fault in _BY_RATE:
            limit += getattr(self.faults, rate)
            if drawn < limit:
                return fault
        return None


def parse(values: dict[str, object]) -> Faults:
    """Faults from JSON or command line options.

    Raises: InvalidInput on unknown names and on values out of range.
    """
    known = {field.name for field in fields(Faults)}
    unknown = [f"{name}: not one of {', '.join(sorted(known))}" for name in values if name not in known]
    if unknown:
        raise InvalidInput(unknown, what="faults")
    return Faults(**{name: value for name, value in values.items() if value is not None})  # type: ignore[arg-type]
