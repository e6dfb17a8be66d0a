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

from saltlick.jobs.interrupts import Interrupted, Interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
FIRST = (
    "\n{name}: aborting. What was touched goes back to what it ran before, then the lock is given back.\n"
    "Once more stops this instant, and leaves everything as it is then, locked.\n"
)
HANGUP = "\nThe terminal is gone; the release goes on. To look on: salt-run release.watch\n"


def say_raw(text: str) -> None:
    """Write to stderr past its buffer, in which the interrupted code may be writing itself; nobody may be there any more."""
    with contextlib.suppress(OSError, ValueError):
        os.write(2, text.encode("utf-8", "replace"))
        sys.stderr.flush()


class Signals:
    """What a signal means just now. `interrupts` is what the rollout reads.

    While it waits (for the lock, for a pillar): the end, nothing was touched. While it rolls: the first an abort, the
    second the end at once. While it closes (writes the page, gives the lock back): nothing, that takes a moment.
    """

    def __init__(self, say: Callable[[str], None] = say_raw) -> None:
        self.interrupts = Interrupts()
        self._say = say
        self._meaning: Callable[[str], None] = self._end

    @contextlib.contextmanager
    def heard(self) -> Iterator[Signals]:
        """Own handlers for the block, those of before after it. SIGHUP changes nothing: the journal does not need a terminal.

        Outside the main thread (salt-api's) no handler can be set, and no signal arrives either.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before: dict[signal.Signals, Any] = {number: signal.signal(number, self._hit) for number in NAMES}
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # under nohup it is ignored already
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: self._say(HANGUP))
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def rolling(self) -> Iterator[Interrupts]:
        """The rollout runs; what comes after it is not interrupted."""
        self._meaning = self._abort
        try:
            yield self.interrupts
        finally:
            self._meaning = lambda _name: None

    def _hit(self, number: int, _frame: Any) -> None:
        self._meaning(NAMES[signal.Signals(number)])

    def _end(self, name: str) -> None:
        raise Interrupted(name)

    def _abort(self, name: str) -> None:
        if not self.interrupts.asked:
            self._say(FIRST.format(name=name))
        self.interrupts.hit(name)
