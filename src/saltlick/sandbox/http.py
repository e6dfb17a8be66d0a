"""The HTTP servers inside the hypervisor that instances reach: metadata, and the *.saltlick.internal hosts."""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from saltlick.sandbox.imds import MetadataService
from saltlick.sandbox.settings import GIT_HOST

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Quick(MotoRequestHandler):
    """Connections stay open between calls, and nothing is logged."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, *_args: Any) -> None:
        """Every call would be a line."""


def wsgi_server(application: Wsgi, host: str, port: int) -> BaseWSGIServer:
    return make_server(host, port, application, threaded=True, request_handler=_Quick)


def internal(api: Wsgi, git_root: Path, allowed: Callable[[str], bool]) -> Wsgi:
    """By Host header: git repositories, or the AWS API. Other clients are refused: this port is open on all interfaces."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not allowed(environ["REMOTE_ADDR"]):
            return _plain(start_response, "403 Forbidden", b"Not one of this sandbox's instances.\n")
        if environ.get("HTTP_HOST", "").split(":")[0] == GIT_HOST:
            return _file(git_root, environ["PATH_INFO"], start_response)
        return api(environ, start_response)

    return application


def _file(root: Path, path: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
    target = (root / path.lstrip("/")).resolve()
    if not target.is_relative_to(root.resolve()) or not target.is_file():
        return _plain(start_response, "404 Not Found", b"Not Found\n")
    body = target.read_bytes()
    kind = mimetypes.guess_type(target.name)[0] or "application/octet-stream"
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def _plain(start_response: Callable[..., Any], status: str, body: bytes) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


class MetadataServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, service: MetadataService, port: int) -> None:
        self.service = service
        super().__init__(("0.0.0.0", port), _MetadataRequest)  # noqa: S104


class _MetadataRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "EC2ws", ""

    def _answer(self) -> None:
        service = cast(MetadataServer, self.server).service
        reply = service.reply(
            self.command, self.client_address[0], self.path.partition("?")[0], cast(Mapping[str, str], self.headers)
        )
        self.send_response(reply.status)
        for name, value in {
            "Content-Type": "text/plain",
            "Content-Length": str(len(reply.body)),
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_PUT = do_POST = _answer  # noqa: N815  (the names http.server looks for)

    def log_message(self, *_args: Any) -> None:
        """Every request would be a line."""


def in_background(*servers: Any) -> None:
    """Serve each in a daemon thread of its own."""
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True, name=type(server).__name__).start()
