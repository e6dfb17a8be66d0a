"""The example reaction to a red backup job: rendered by Salt's own reactor, carried out by the runner that it names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import salt.minion
import salt.runner
import salt.utils.reactor
from support.salt_master import CHECKOUT

TAG = "saltlick/prod/20261123020000000000/backup/database/red"
EVENT = {
    "environment": "prod",
    "job": "database",
    "fresh": False,
    "age_s": 200000.0,
    "reasons": ['the run of 2026-11-23 02:00:00 UTC failed: rsync failed (11): it\'s "full"', "too old"],
}


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Any]]]:
    """An address, and what was posted to it."""
    posted: list[Any] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Chat)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hooks/backups", posted
    server.shutdown()
    server.server_close()


def test_a_red_job_is_posted(master: Any, hook: tuple[str, list[Any]]) -> None:
    address, posted = hook
    opts = {**master.opts, "saltlick_webhook": address}
    reactor = salt.utils.reactor.Reactor(opts)
    reactor.minion = salt.minion.MasterMinion(opts, states=False, rend=True)
    (chunk,) = reactor.reactions(TAG, EVENT, [str(CHECKOUT / "reactor" / "backup-red.sls")])
    assert chunk["state"] == "runner"
    assert chunk["fun"] == "http.query"
    given = {key: value for each in chunk["args"] for key, value in each.items()}
    client = salt.runner.RunnerClient(opts)
    try:
        client.cmd("http.query", kwarg=given, print_event=False)
    finally:
        client.destroy()
    told = {key: EVENT[key] for key in ("environment", "job", "reasons", "age_s")}
    assert posted == [("application/json", told)]
