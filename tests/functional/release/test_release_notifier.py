"""What a release reports: a line per step, events on the bus, and the webhook."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from support.bus import RecordingBus
from support.release_master import record

from saltlick.commands.release.notifier import ReleaseNotifier
from saltlick.commands.release.webhook import WebhookNotifier
from saltlick.jobs.progress import Progress
from saltlick.release.context import ReleaseEvent
from saltlick.release.journal.record import Phase, Result, StepRecord
from saltlick.release.pillar.model import Webhook


def notified(
    *events: ReleaseEvent, webhook: Webhook | None = None
) -> tuple[list[str], list[tuple[str, Mapping[str, Any]]]]:
    stream, bus = io.StringIO(), RecordingBus()
    with Progress("77", bus, stream=stream) as progress:
        notifier = ReleaseNotifier({"no_color": True}, progress, WebhookNotifier({}, webhook, progress.line))
        for event in events:
            notifier(event)
    return stream.getvalue().splitlines(), bus.fired


def test_a_line_per_step_and_an_event_for_each_of_its_ends():
    step = StepRecord(number=2, phase=Phase.DRAIN, name="drain", server="one-app-1", batch=1, started=1795356193.0)
    ended = replace(step, ended=1795356195.0, ok=True, detail="drained, 0 sessions")
    release = record()
    over = replace(release, result=Result.DONE)
    lines, events = notified(
        ReleaseEvent(release=release),
        *(ReleaseEvent(release=release, step=state, batches=2) for state in (step, ended)),
        ReleaseEvent(release=release, text="hm\x1b[2J"),
        ReleaseEvent(release=over),
    )
    assert lines[0] == f"one: release {release.id} of shop to f5d9859 by ann"
    assert "batch 1/2  one-app-1  drain" in lines[1]
    assert lines[1].endswith("drained, 0 sessions")
    assert lines[2].endswith("hm")
    assert len(lines) == 3
    tags = [tag.removeprefix("saltlick/one/77/release/") for tag, _ in events]
    assert tags == ["started", "drain", "drain", "said", "done"]
    assert [content["state"] for _, content in events[1:3]] == ["begun", "ended"]
    assert events[2][1]["duration_ms"] == 2000
    assert json.dumps(events)


def test_what_is_told_cannot_end_a_release():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise OSError(5, "Input/output error")

    with Progress("77", RecordingBus(), stream=Gone()) as progress:
        notifier = ReleaseNotifier({}, progress, WebhookNotifier({}, None, progress.line))
        notifier(ReleaseEvent(release=record(), text="hello"))
        notifier(ReleaseEvent(release=None, text="a defect"))  # type: ignore[arg-type]  # which is the defect


@pytest.fixture
def listener():
    posted: list[dict[str, Any]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", posted
    server.shutdown()


def test_the_webhook_is_told_at_its_moments(listener):
    address, posted = listener
    webhook = Webhook.model_validate({"url": f"{address}/secret", "on": ["started", "failed"]})
    stuck = replace(record(), result=Result.STUCK, reason="x")
    notified(
        *(ReleaseEvent(release=state) for state in (record(), replace(record(), result=Result.DONE), stuck)),
        webhook=webhook,
    )
    assert [event["moment"] for event in posted] == ["started", "failed"]
    assert posted[1]["reason"] == "x"
    assert "f5d9859" in posted[0]["text"]


@pytest.mark.parametrize("address", ["/broken", "http://127.0.0.1:1/secret", "sdb://nowhere/secret"])
def test_a_webhook_that_fails_is_a_remark_without_its_address(listener, address):
    webhook = Webhook.model_validate({"url": address if "://" in address else listener[0] + address})
    lines, _ = notified(ReleaseEvent(release=record()), webhook=webhook)
    assert "the webhook was not told that the release started" in lines[-1]
    assert "secret" not in "".join(lines)
    assert "127.0.0.1" not in "".join(lines)
