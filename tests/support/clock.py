"""The one fake clock."""

from __future__ import annotations

from collections.abc import Callable

EPOCH = 1_790_000_000.0
"""The instant at which every fake clock begins, in seconds since the epoch."""


class FakeClock:
    """Time that passes only by sleeping. What happens `meanwhile` is called with the new time after each sleep."""

    def __init__(self, *meanwhile: Callable[[float], object]) -> None:
        self.time_s = 0.0
        self.slept: list[float] = []
        self.meanwhile = list(meanwhile)

    def now(self) -> float:
        return self.time_s

    def epoch(self) -> float:
        return EPOCH + self.time_s

    @property
    def longest_s(self) -> float:
        """The longest single sleep."""
        return max(self.slept, default=0.0)

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds
        self.slept.append(seconds)
        for action in self.meanwhile:
            action(self.time_s)
