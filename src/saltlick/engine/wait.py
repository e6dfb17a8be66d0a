"""The polling loop of every wait: each has a deadline, growing jittered intervals and a last seen state."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from saltlick.engine.ports import Clock
from saltlick.errors import WaitTimeout

T = TypeVar("T")

FIRST_S = 0.1
GROWTH = 1.6
LONGEST_S = 10.0


class SystemClock:
    """Real time."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def until(
    probe: Callable[[], T],
    ready: Callable[[T], bool],
    *,
    what: str,
    describe: Callable[[T], str] = str,
    deadline_s: float,
    clock: Clock,
    longest_s: float = LONGEST_S,
) -> T:
    """Call `probe` until `ready` accepts its result; return that result.

    `what` names what is waited for, `describe` puts an answer into words for the error. Intervals start at 0.1 s and grow to
    `longest_s`.

    Raises: WaitTimeout after `deadline_s` seconds, with the last answer in words.
    """
    started = clock.now()
    pause_s = FIRST_S
    while True:
        seen = probe()
        if ready(seen):
            return seen
        waited_s = clock.now() - started
        if waited_s >= deadline_s:
            raise WaitTimeout(what, describe(seen), waited_s)
        jittered_s = pause_s * random.uniform(0.8, 1.2)  # noqa: S311 - spreading load, not secrets
        clock.sleep(min(jittered_s, max(deadline_s - waited_s, 0.01)))
        pause_s = min(pause_s * GROWTH, longest_s)
