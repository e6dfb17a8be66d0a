"""What a job reports while it runs: lines on stderr for the operator, events for everything else."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from saltlick.engine import render
from saltlick.engine.apply import Report
from saltlick.engine.plan import Verb
from saltlick.words import cleaned, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.engine.apply import Outcome


class EventBus(Protocol):
    """Where events go."""

    def fire(self, tag: str, content: Mapping[str, Any]) -> None:
        """Fire one event. Never raises for a bus that is gone."""

    def close(self) -> None:
        """Let go of the bus."""


class ResilientStream:
    """A stream that may go away (a terminal, a pipe) without an error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


class Progress:
    """Reports one job: `line` for a remark, `step` for an event, `watch` for a finished resource."""

    def __init__(self, job_id: str, bus: EventBus, *, stream: TextIO | None = None, colour: bool = False) -> None:
        self._bus = bus
        self._job_id = job_id or "job"
        self._stream = ResilientStream(stream or sys.stderr)
        self._colour = colour

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bus.close()

    def line(self, text: str) -> None:
        """Print one remark for the operator."""
        self._stream.write(f"{printable(text, colour=self._colour)}\n")
        self._stream.flush()

    def step(self, environment: str, step: str, **content: Any) -> None:
        """Fire one event: `saltlick/<environment>/<job>/<step>`."""
        self._bus.fire(
            f"saltlick/{environment}/{self._job_id}/{step}", {"environment": environment, **cleaned(content)}
        )

    def watch(self, outcome: Outcome) -> None:
        """Report one finished action. A resource that was right already has no line and no event."""
        if outcome.verb is Verb.KEEP and outcome.ok:
            return
        self.line(render.progress(outcome, colour=self._colour))
        content = render.report_data(Report((outcome,), outcome.duration_ms))["outcomes"][0]
        self.step(outcome.key.environment, f"{outcome.verb.value}/{outcome.key.address}", **content)
