"""A release as it happens: a line on stderr for the person, an event on Salt's bus for everything else, a webhook for the rest.

None of them can fail a release: a terminal that is gone, a bus that is, an address that does not answer.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone, tzinfo
from typing import TYPE_CHECKING, Any, TextIO

from saltlick.release.journal.record import Phase, Result, ServerRecord, StepRecord
from saltlick.release.pillar.model import HookEvent
from saltlick.release.report import lines, wording
from saltlick.salt_io.progress import Progress, colour_wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from saltlick.commands.release.webhook import WebhookNotifier
    from saltlick.release.context import ReleaseEvent
    from saltlick.release.journal.record import ReleaseRecord

log = logging.getLogger(__name__)

LONG = {Phase.BUILD, Phase.ONCE, Phase.WAIT}
"""Phases whose steps are told when they begin, too: nobody should wonder for minutes."""
SUCCESSES = {Result.DONE, Result.UNCHANGED, Result.PARTIAL}


class ResilientStream:
    """A stream that may go away (a terminal, a pipe) without taking the release along."""

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


@contextlib.contextmanager
def progress(opts: Mapping[str, Any], job: str, stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress that outlives its terminal."""
    lasting: Any = ResilientStream(stream or sys.stderr)
    with Progress(opts, job, stream=lasting) as made:
        yield made


class ReleaseNotifier:
    """`Stage.tell`: takes `News`."""

    def __init__(self, opts: Mapping[str, Any], progress: Progress, herald: WebhookNotifier) -> None:
        self._progress = progress
        self._herald = herald
        self._colour = colour_wanted(opts, sys.stderr)
        self._zone = local_zone()
        self._widest = ""

    def __call__(self, news: ReleaseEvent) -> None:
        try:
            self._tell(news)
        except Exception:  # what watches a release must not end it
            log.exception("A defect in saltlick: this news could not be told")

    def _tell(self, news: ReleaseEvent) -> None:
        if news.text:
            self._progress.line(f"{wording.clock(time.time(), self._zone)}  {wording.clean(news.text)}")
            self._fire(news.release, "said", text=news.text)
        elif news.step is not None:
            self._step(news, news.step)
        elif news.release.result is Result.RUNNING:
            self._progress.line(_begins(news.release))
            self._fire(news.release, "started", rev=news.release.rev, who=news.release.who)
            self._herald.tell(HookEvent.STARTED, news.release, "begins")
        else:
            good = news.release.result in SUCCESSES
            self._fire(news.release, "done" if good else "failed", reason=news.release.reason)
            self._herald.tell(HookEvent.DONE if good else HookEvent.FAILED, news.release)

    def _step(self, news: ReleaseEvent, step: StepRecord) -> None:
        """Steps that are quick have one line, at their end."""
        if step.ended is not None or step.phase in LONG:
            self._progress.line(lines.step(self._slim(news), step, colour=self._colour, zone=self._zone))
        told = {
            "server": step.server,
            "batch": step.batch,
            "batches": news.batches,
            "name": step.name,
            "undo": step.undo,
        }
        if step.ended is not None:
            told |= {"ok": step.ok, "detail": step.detail, "duration_ms": round((step.ended - step.started) * 1000)}
        self._fire(news.release, step.phase.value, state="ended" if step.ended is not None else "begun", **told)
        if step.ended is None and step.phase is Phase.WAIT and "promote" in step.name:
            self._herald.tell(
                HookEvent.PAUSED, news.release, f"waits: salt-run release.promote {news.release.environment}"
            )

    def _slim(self, news: ReleaseEvent) -> ReleaseRecord:
        """The release with one server that is as wide as the widest: lines are told per server, and have to stay cheap."""
        if not self._widest:
            self._widest = max((server.name for server in news.release.servers), key=len, default="")
        return replace(news.release, servers=(ServerRecord(name=self._widest, batch=news.batches),))

    def _fire(self, release: ReleaseRecord, step: str, **told: Any) -> None:
        known = {
            "release": release.id,
            "application": release.application,
            "sha": release.sha,
            "result": release.result.value,
        }
        self._progress.step(release.environment, f"release/{step}", **known, **told)


def _begins(release: ReleaseRecord) -> str:
    what = "rollback" if release.rollback else "release"
    said = f": {wording.clean(release.message)}" if release.message else ""
    change = f"{release.application} to {wording.short(release.sha)}"
    return f"{release.environment}: {what} {release.id} of {change} by {release.who}{said}"


def local_zone() -> tzinfo:
    """The time zone of this master: what people see goes by it."""
    return datetime.now().astimezone().tzinfo or timezone.utc
