"""What happens, as it happens: a line on stderr for the person, an event on Salt's bus for everything else."""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import salt.utils.event

from saltlick.engine import render
from saltlick.engine.apply import Report
from saltlick.engine.plan import Verb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.engine.apply import Outcome

CONNECT_TIMEOUT_MS = 1000


class Bus:
    """The master's event bus; without a running master there is none, and nothing is said about it."""

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._event = None
        if master_listens(opts):
            self._event = salt.utils.event.get_event("master", opts["sock_dir"], opts=dict(opts), listen=False)

    def fire(self, tag: str, content: Mapping[str, Any]) -> None:
        """Fire an event; an unreachable bus is given up on at the first try."""
        if self._event is not None and not self._event.fire_event(dict(content), tag, timeout=CONNECT_TIMEOUT_MS):
            self.close()

    def close(self) -> None:
        """Let go of the socket."""
        if self._event is not None:
            self._event.destroy()
            self._event = None


def master_listens(opts: Mapping[str, Any]) -> bool:
    """Whether somebody takes events here. Salt itself would try for a second where nobody does."""
    return _answers(opts, "master_event_pull.ipc")


def master_publishes(opts: Mapping[str, Any]) -> bool:
    """Whether a master tells here what its minions return."""
    return _answers(opts, "master_event_pub.ipc")


def _answers(opts: Mapping[str, Any], name: str) -> bool:
    """A master that was killed leaves its sockets in their folder: only who answers is there."""
    if opts.get("__role") != "master":
        return False
    if opts.get("ipc_mode") == "tcp":
        return True
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(CONNECT_TIMEOUT_MS / 1000)
        with contextlib.suppress(OSError):
            trial.connect(str(Path(opts["sock_dir"]) / name))
            return True
    return False


class Progress:
    """Tells of a job: call `line` for a remark, `watch` for each finished resource."""

    def __init__(
        self, opts: Mapping[str, Any], job: str, *, stream: TextIO | None = None, bus: Bus | None = None
    ) -> None:
        self._bus = bus or Bus(opts)
        self._job = job or "job"
        self._stream = stream or sys.stderr
        self._colour = colour_wanted(opts, self._stream)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bus.close()

    def line(self, text: str) -> None:
        """One remark for the person."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def step(self, environment: str, step: str, **content: Any) -> None:
        """One event: `saltlick/<environment>/<job>/<step>`."""
        self._bus.fire(f"saltlick/{environment}/{self._job}/{step}", {"environment": environment, **content})

    def watch(self, outcome: Outcome) -> None:
        """Tell of one finished action; what was fine already is not worth a line."""
        if outcome.verb is Verb.KEEP and outcome.ok:
            return
        self.line(render.progress(outcome, colour=self._colour))
        content = render.report_data(Report((outcome,), outcome.duration_ms))["outcomes"][0]
        self.step(outcome.key.environment, f"{outcome.verb.value}/{outcome.key.address}", **content)


def colour_wanted(opts: Mapping[str, Any], stream: TextIO) -> bool:
    """As Salt decides: `--force-color`, `--no-color`, else whether a terminal reads it."""
    if opts.get("force_color"):
        return True
    return not opts.get("no_color") and stream.isatty()
