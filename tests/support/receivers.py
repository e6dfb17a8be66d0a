"""Receivers of messages on this machine: a webhook and a mail server that take what really comes over the network."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from support.salt_master import Master


@dataclass
class Webhook:
    """What was posted, each as `title`, `message` and `type`. `status` is what it answers."""

    url: str = ""
    posts: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    on_post: Callable[[], object] = lambda: None
    """What happens while the sender waits for the answer."""

    @property
    def titles(self) -> list[str]:
        return [post["title"] for post in self.posts]


@contextlib.contextmanager
def webhook() -> Iterator[Webhook]:
    """A receiver for `json://` addresses. A refused post is not kept."""
    received = Webhook()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.on_post()
            if received.status < 400:
                received.posts.append(body)
            self.send_response(received.status)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    received.url = f"json://127.0.0.1:{server.server_port}/hook"
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """What a mail server took."""

    url: str = ""
    mails: list[Message] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"


@contextlib.contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A mail server without encryption, for `mailto://` addresses."""
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        box.url = f"mailto://127.0.0.1:{port}?from=saltlick@example.com&to=ann@example.com&mode=insecure"
        yield box
    finally:
        controller.stop()


def declare(master: Master, notify: object) -> None:
    """Give `one` a `notify`, beside what it has."""
    file = master.folder / "pillar" / "one" / "environment.sls"
    rest = file.read_text().partition("\nnotify: ")[0]
    master.pillar("one", f"{rest}\nnotify: {json.dumps(notify)}\n")
