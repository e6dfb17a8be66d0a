"""How fast each API may be called: as fast as we like until AWS complains, then that operation slows down for all."""

from __future__ import annotations

import random
import threading
from collections import defaultdict

FIRST_S = 0.2
LONGEST_S = 15.0


class Pace:
    """Per operation, the pause AWS has taught us: doubled by each throttling, melting away with each success.

    AWS throttles per account, region and API action, so one operation's complaint says nothing about the others.
    Source: "Request throttling for the Amazon EC2 API".
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pauses: dict[str, float] = defaultdict(float)

    def before(self, operation: str) -> float:
        """Seconds to wait before the next call of this operation."""
        pause_s = self._pauses.get(operation, 0.0)
        return pause_s * random.random() if pause_s else 0.0  # noqa: S311 - spreads load, guards nothing

    def throttled(self, operation: str, attempt: int) -> float:
        """AWS complained: slow this operation down; return the seconds to wait before the same call again."""
        with self._lock:
            self._pauses[operation] = min(max(self._pauses[operation] * 2, FIRST_S), LONGEST_S)
        return backoff_s(attempt)

    def answered(self, operation: str) -> None:
        """A call went through: halve the pause, and forget it when it is small."""
        if operation in self._pauses:
            with self._lock:
                pause_s = self._pauses.pop(operation, 0.0) / 2
                if pause_s > FIRST_S / 4:
                    self._pauses[operation] = pause_s


def backoff_s(attempt: int) -> float:
    """Exponential backoff with jitter: 0.1 to 0.2 s after the first attempt, 7.5 to 15 s at last."""
    longest_s: float = min(FIRST_S * 2**attempt, LONGEST_S)
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
