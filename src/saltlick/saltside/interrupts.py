"""Ctrl-C, SIGTERM and a lost terminal during a release: orders to the rollout, not the end of the process.

Source: `salt.scripts._handle_signals` makes `SystemExit(0)` of both signals, wherever the runner is and with exit code 0.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from saltlick.release.stage import Interrupts

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
FIRST = (
    "\n{name}: aborting. What was touched goes back to what it ran before, then the lock is given back.\n"
    "Once more stops this instant, and leaves everything as it is then, locked.\n"
)
HANGUP = "\nThe terminal is gone; the release goes on. To look on: salt-run release.watch\n"


def say_raw(text: str) -> None:
    """Write to stderr past its buffer, in which the interrupted code may be writing itself; nobody may be there any more."""
    with contextlib.suppress(OSError, ValueError):
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, text.encode("utf-8", "replace"))


@contextlib.contextmanager
def interruptible(interrupts: Interrupts, say: Callable[[str], None] = say_raw) -> Iterator[None]:
    """For the block: the first signal asks for an abort, the second raises `Interrupted`. SIGHUP changes nothing.

    Outside the main thread (salt-api's) no handler can be set, and no signal arrives either.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hit(number: int, _frame: Any) -> None:
        name = NAMES[signal.Signals(number)]
        first = not interrupts.asked
        if first:
            say(FIRST.format(name=name))
        interrupts.hit(name)

    before = {number: signal.signal(number, hit) for number in NAMES}
    if (
        hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    ):  # under nohup it is ignored already
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: say(HANGUP))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
