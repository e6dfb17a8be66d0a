"""The weather of a cloud, on request: latency, throttling, lost answers, server errors. All off unless asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random

from saltlick.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Rates are shares of calls, 0 to 1. `lost_rate` loses the answer of a call that was carried out."""

    latency_ms: float = 0
    throttle_rate: float = 0
    error_rate: float = 0
    lost_rate: float = 0
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"{name}: {value} is not between 0 and {top}"
            for name, top in (("latency_ms", 60_000), ("throttle_rate", 1), ("error_rate", 1), ("lost_rate", 1))
            if not 0 <= (value := getattr(self, name)) <= top
        ]
        if problems:
            raise InvalidInput(problems, what="faults")


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What happens to one call. At most one of the three."""

    throttled: bool = False
    error: bool = False
    lost: bool = False


class Weather:
    """Decides the fate of each call; the same seed gives the same sequence."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.set(faults or Faults())

    def set(self, faults: Faults) -> None:
        self.faults = faults
        self._random = Random(faults.seed)  # noqa: S311

    def fate(self) -> Fate:
        f, drawn = self.faults, self._random.random()
        if drawn < f.throttle_rate:
            return Fate(throttled=True)
        if drawn < f.throttle_rate + f.error_rate:
            return Fate(error=True)
        return Fate(lost=drawn < f.throttle_rate + f.error_rate + f.lost_rate)


def parse(values: dict[str, object]) -> Faults:
    """Faults from JSON or command line options; unknown names are refused."""
    known = {field.name for field in fields(Faults)}
    unknown = [f"{name}: not one of {', '.join(sorted(known))}" for name in values if name not in known]
    if unknown:
        raise InvalidInput(unknown, what="faults")
    return Faults(**{name: value for name, value in values.items() if value is not None})  # type: ignore[arg-type]
