"""Ctrl-C, SIGTERM and a lost terminal during a job: requests to the job, not the end of the process.

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
ENDING = {**NAMES, signal.SIGHUP: "SIGHUP"}
FIRST = (
    "\n{name}: aborting. What was touched goes back to what it ran before, then the lock is given back.\n"
    "Once more stops this instant, and leaves everything as it is then, locked.\n"
)
HANGUP = "\nThe terminal is gone; the job goes on. To see releases: salt-run release.watch\n"


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """For what only looks: Ctrl-C, SIGTERM and a lost terminal end it.

    Outside the main thread no handler can be set, and no signal arrives.

    Raises: Interrupted in the block, where the signal arrives; the name is in its text.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: Any) -> None:
        for other in ENDING:
            signal.signal(other, signal.SIG_IGN)  # a second one would cut the end short
        raise Interrupted(ENDING[signal.Signals(number)])

    before: dict[signal.Signals, Any] = {number: signal.signal(number, end) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_raw(text: str) -> None:
    """Write to stderr past its buffer, which the interrupted code may be writing to. A closed stderr is no error."""
    with contextlib.suppress(OSError, ValueError):
        os.write(2, text.encode("utf-8", "replace"))
        sys.stderr.flush()


class Signals:
    """What a signal means at the moment.

    Before `abortable` and outside it, a signal raises `Interrupted` at once. Inside `abortable`, the first one requests an abort
    (`interrupts`, which the job reads) and the second raises `Interrupted`. After it (the job closes: writes its page, gives its
    lock back), signals do nothing.
    """

    def __init__(self, write: Callable[[str], None] = write_raw) -> None:
        self.interrupts = Interrupts()
        self._write = write
        self._meaning: Callable[[str], None] = self._end

    @contextlib.contextmanager
    def handled(self) -> Iterator[Signals]:
        """Install the handlers for the block, and the earlier ones after it. SIGHUP only prints: no job needs its terminal.

        Outside the main thread (salt-api) no handler can be set, and no signal arrives.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before: dict[signal.Signals, Any] = {number: signal.signal(number, self._hit) for number in NAMES}
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # under nohup it is ignored already
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: self._write(HANGUP))
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def abortable(self) -> Iterator[Interrupts]:
        """The job can be aborted; what comes after the block is not interrupted."""
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
            self._write(FIRST.format(name=name))
        self.interrupts.hit(name)
