"""Varnish alone: behind it this test puts a backend of its own."""

import json
import time

import pytest

pytestmark = pytest.mark.e2e

BACKEND = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    count = 0
    def do_GET(self):
        Handler.count += 1
        self.send_response(500 if "error" in self.path else 200)
        if "cacheable" in self.path:
            self.send_header("Cache-Control", "max-age=60")
        self.send_header("X-Seen", self.headers.get("X-Request-Id", ""))
        self.send_header("X-Request-Id", self.headers.get("X-Request-Id", ""))
        body = str(Handler.count).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module", autouse=True)
def backend(host):
    """A web server on 8080 that counts what reaches it."""
    assert "HTTP/1.1 503" in host.check_output("curl -si http://127.0.0.1:6081/")
    host.check_output("systemd-run --unit=test-backend --collect python3 -c %s", BACKEND)
    host.check_output("curl -s --retry 50 --retry-delay 1 --retry-connrefused http://127.0.0.1:8080/")
    yield
    host.run("systemctl stop test-backend")


def test_services(host):
    for name in ("varnish", "varnishncsa"):
        assert host.service(name).is_running
        assert host.service(name).is_enabled


def test_runs_with_the_arguments_of_the_formula(host):
    """A restart alone would start what systemd read before."""
    command = host.check_output("cat /proc/$(systemctl show -P MainPID varnish)/cmdline | tr '\\000' ' '")
    assert "-a 127.0.0.1:6081" in command
    assert "-p default_ttl=0" in command


def test_listens_for_this_server_only(host):
    assert host.socket("tcp://127.0.0.1:6081").is_listening
    assert not host.socket("tcp://0.0.0.0:6081").is_listening


def test_passes_the_request_id_on_and_logs_it(host):
    assert _headers(host, "/passed", "one")["x-seen"] == "one"
    assert _logged(host, "/passed") == {"hop": "varnish", "request_id": "one", "status": "200", "cache": "miss"}


def test_makes_an_id_for_a_request_that_has_none(host):
    assert _headers(host, "/none")["x-seen"].startswith("varnish-")


def test_caches_what_may_be_cached_and_gives_each_request_its_own_id(host):
    first = _headers(host, "/cacheable", "first")
    second = _headers(host, "/cacheable", "second")
    assert (first["x-cache"], second["x-cache"]) == ("miss", "hit")
    assert (second["x-request-id"], second["x-seen"]) == ("second", "first")


@pytest.mark.parametrize("path", ["/unmarked", "/error", "/cacheable-error", "/health", "/health?cacheable"])
def test_never_caches(host, path):
    assert [_headers(host, path)["x-cache"] for _ in range(3)] == ["miss"] * 3
    bodies = [host.check_output("curl -s http://127.0.0.1:6081%s", path) for _ in range(3)]
    assert len(set(bodies)) == 3


def _headers(host, path: str, request_id: str = "") -> dict[str, str]:
    extra = f"X-Request-Id: {request_id}" if request_id else "X-None: x"
    lines = host.check_output("curl -si -H %s http://127.0.0.1:6081%s", extra, path).splitlines()
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _logged(host, uri: str, deadline_s: float = 10) -> dict[str, str]:
    """varnishncsa's line about this address, without the times: it is written a moment after the answer."""
    deadline = time.monotonic() + deadline_s
    while True:
        text = host.file("/var/log/varnish/varnishncsa.log").content_string
        found = [line for line in map(json.loads, text.splitlines()) if line["uri"] == uri]
        if found:
            return {name: found[-1][name] for name in ("hop", "request_id", "status", "cache")}
        assert time.monotonic() < deadline, f"no line about {uri}"
        time.sleep(0.1)
