"""Reports a release as it happens: a line on stderr, an event on Salt's bus, and a webhook.

None of them can fail a release: neither a closed terminal, nor a missing bus, nor a webhook that does not answer.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from saltlick.commands.terminal import colour_wanted, local_zone
from saltlick.release.journal.record import Phase, Result, ServerRecord, StepRecord
from saltlick.release.pillar.model import HookEvent
from saltlick.release.report import lines, wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.commands.release.webhook import WebhookNotifier
    from saltlick.jobs.progress import Progress
    from saltlick.release.context import ReleaseEvent
    from saltlick.release.journal.record import ReleaseRecord

log = logging.getLogger(__name__)

LONG = {Phase.BUILD, Phase.ONCE, Phase.WAIT}
"""Phases whose steps have a line when they begin, too, because they can take minutes."""
SUCCESSES = {Result.DONE, Result.UNCHANGED, Result.PARTIAL}


class ReleaseNotifier:
    """Takes the events of a release (`ReleaseContext.notify`)."""

    def __init__(self, opts: Mapping[str, Any], progress: Progress, webhook: WebhookNotifier) -> None:
        self._progress = progress
        self._webhook = webhook
        self._colour = colour_wanted(opts, sys.stderr)
        self._zone = local_zone()
        self._widest = ""

    def __call__(self, event: ReleaseEvent) -> None:
        try:
            self._report(event)
        except Exception:  # what watches a release must not end it
            log.exception("A defect in saltlick: this event could not be reported")

    def _report(self, event: ReleaseEvent) -> None:
        if event.text:
            self._progress.line(f"{wording.clock(time.time(), self._zone)}  {wording.clean(event.text)}")
            self._fire(event.release, "said", text=event.text)
        elif event.step is not None:
            self._step(event, event.step)
        elif event.release.result is Result.RUNNING:
            self._progress.line(_begins(event.release))
            self._fire(event.release, "started", rev=event.release.rev, who=event.release.who)
            self._webhook.post(HookEvent.STARTED, event.release, "begins")
        else:
            good = event.release.result in SUCCESSES
            self._fire(event.release, "done" if good else "failed", reason=event.release.reason)
            self._webhook.post(HookEvent.DONE if good else HookEvent.FAILED, event.release)

    def _step(self, event: ReleaseEvent, step: StepRecord) -> None:
        """Steps that are quick have one line, at their end."""
        if step.ended is not None or step.phase in LONG:
            self._progress.line(lines.step(self._slim(event), step, colour=self._colour, zone=self._zone))
        content = {
            "server": step.server,
            "batch": step.batch,
            "batches": event.batches,
            "name": step.name,
            "undo": step.undo,
        }
        if step.ended is not None:
            content |= {"ok": step.ok, "detail": step.detail, "duration_ms": round((step.ended - step.started) * 1000)}
        self._fire(event.release, step.phase.value, state="ended" if step.ended is not None else "begun", **content)
        if step.ended is None and step.phase is Phase.WAIT and "promote" in step.name:
            self._webhook.post(
                HookEvent.PAUSED, event.release, f"waits: salt-run release.promote {event.release.environment}"
            )

    def _slim(self, event: ReleaseEvent) -> ReleaseRecord:
        """The release with one server that is as wide as the widest: lines are told per server, and have to stay cheap."""
        if not self._widest:
            self._widest = max((server.name for server in event.release.servers), key=len, default="")
        return replace(event.release, servers=(ServerRecord(name=self._widest, batch=event.batches),))

    def _fire(self, release: ReleaseRecord, step: str, **content: Any) -> None:
        known = {
            "release": release.id,
            "application": release.application,
            "sha": release.sha,
            "result": release.result.value,
        }
        self._progress.step(release.environment, f"release/{step}", **known, **content)


def _begins(release: ReleaseRecord) -> str:
    what = "rollback" if release.rollback else "release"
    message = f": {wording.clean(release.message)}" if release.message else ""
    change = f"{release.application} to {wording.short(release.sha)}"
    return f"{release.environment}: {what} {release.id} of {change} by {release.who}{message}"
