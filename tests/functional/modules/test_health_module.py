"""The execution module `health`, loaded by Salt's own loader, against servers on this machine's loopback."""

from __future__ import annotations

import http.server
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import salt.config
import salt.loader
from salt.exceptions import CommandExecutionError

ROOT = Path(__file__).resolve().parents[3]
QUICK = {"interval_s": 0.01, "timeout_s": 1, "deadline_s": 0.3}


@pytest.fixture(scope="module")
def health(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The module as a minion has it: found through module_dirs, with no package installed."""
    opts = salt.config.DEFAULT_MINION_OPTS.copy()
    folder = tmp_path_factory.mktemp("minion")
    opts.update(
        file_client="local",
        id="test",
        root_dir=str(folder),
        cachedir=str(folder / "cache"),
        extension_modules=str(folder / "extmods"),
        module_dirs=[str(ROOT)],
        grains={},
    )
    return salt.loader.minion_mods(opts, whitelist=["health"])


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """serve(answers) starts a web server giving these (status, body) in turn, the last for ever; returns its address."""
    servers = []

    def start(*answers: tuple[int, str], location: str = "") -> str:
        left = list(answers)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = left.pop(0) if len(left) > 1 else left[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: object) -> None:
                """Quiet."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/health"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound and does not listen: every connection is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_healthy_answer_is_plain_data(health, serve):
    answer = health["health.http"](serve((200, "ok")), body="ok")
    assert answer.pop("seconds") < 5
    assert answer == {"healthy": True, "checks": 1, "last": "status 200, body 'ok'"}


def test_waits_until_healthy(health, serve):
    assert health["health.http"](serve((503, ""), (503, ""), (200, "ok")), **{**QUICK, "deadline_s": 5})["checks"] == 3


def test_successes_must_be_in_a_row(health, serve):
    url = serve((200, ""), (500, ""), (200, ""), (200, ""))
    assert health["health.http"](url, successes=2, **{**QUICK, "deadline_s": 5})["checks"] == 4


@pytest.mark.parametrize(
    ("answers", "arguments", "last"),
    [
        ([(503, "down")], {}, "status 503"),
        ([(200, "starting")], {"body": "ok"}, "status 200, body 'starting'"),
        ([(200, "ok")], {"status": 204}, "status 200"),
    ],
)
def test_an_unhealthy_answer_is_in_the_error(health, serve, answers, arguments, last):
    with pytest.raises(CommandExecutionError, match=r"0 of 1 successes in a row\); last seen: ") as caught:
        health["health.http"](serve(*answers), **arguments, **QUICK)
    assert str(caught.value).endswith(last)


def test_too_few_successes_in_time_is_a_failure(health, serve):
    with pytest.raises(CommandExecutionError, match="of 100000 successes"):
        health["health.http"](serve((200, "")), successes=100000, **QUICK)


def test_a_redirection_is_not_followed(health, serve):
    target = serve((200, "ok"))
    with pytest.raises(CommandExecutionError, match="last seen: status 302"):
        health["health.http"](serve((302, ""), location=target), **QUICK)


def test_http_says_why_nothing_answered(health, closed_port):
    with pytest.raises(CommandExecutionError, match=r"last seen: no answer: .*refused"):
        health["health.http"](f"http://127.0.0.1:{closed_port}/", **QUICK)


def test_something_that_is_not_http_is_unhealthy(health):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(b"SSH-2.0-nonsense\r\n")
                connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(CommandExecutionError, match="last seen: no answer: "):
            health["health.http"](f"http://127.0.0.1:{server.getsockname()[1]}/", **QUICK)
        server.shutdown(socket.SHUT_RDWR)


def test_a_silent_server_costs_no_more_than_the_deadline(health):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(CommandExecutionError, match="timed out"):
            health["health.http"](url, timeout_s=60, interval_s=0.01, deadline_s=0.3)


def test_tcp_connects(health):
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = health["health.tcp"]("127.0.0.1", str(server.getsockname()[1]), successes=2, **QUICK)
    assert (answer["healthy"], answer["checks"], answer["last"]) == (True, 2, "connected")


def test_tcp_says_why_not(health, closed_port):
    with pytest.raises(CommandExecutionError, match=f"127.0.0.1:{closed_port}: not healthy .*no connection: .*refused"):
        health["health.tcp"]("127.0.0.1", closed_port, **QUICK)


def test_a_command_that_ends_well_is_healthy(health):
    answer = health["health.command"]("echo one; echo two | tr a-z A-Z", **QUICK)
    assert (answer["healthy"], answer["checks"], answer["last"]) == (True, 1, "exit code 0: TWO")


def test_waits_until_a_command_ends_well(health, tmp_path):
    count = f"echo x >> {tmp_path}/n; test $(wc -l < {tmp_path}/n) -ge 3"
    assert health["health.command"](count, **{**QUICK, "deadline_s": 20})["checks"] == 3


@pytest.mark.parametrize(
    ("cmd", "arguments", "last"),
    [
        ("echo down >&2; exit 3", {}, "exit code 3: down"),
        ("true", {"retcode": 1}, "exit code 0"),
        ("no-such-command-at-all 2>/dev/null", {}, "exit code 127"),
    ],
)
def test_a_command_that_ends_otherwise_is_unhealthy(health, cmd, arguments, last):
    with pytest.raises(CommandExecutionError, match="expected exit code") as caught:
        health["health.command"](cmd, **arguments, **QUICK)
    assert str(caught.value).endswith(f"last seen: {last}")


def test_a_command_that_hangs_is_ended_with_its_children(health, tmp_path):
    hangs = f"sh -c 'sleep 600 & echo $! > {tmp_path}/pid; wait'"
    with pytest.raises(CommandExecutionError, match=r"last seen: not done after 1 s"):
        health["health.command"](hangs, interval_s=10, timeout_s=1, deadline_s=5)
    left = int((tmp_path / "pid").read_text())
    give_up = time.monotonic() + 20
    while psutil.pid_exists(left) and psutil.Process(left).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as a minion has it")
def test_a_command_runs_as_its_user(health):
    assert (
        health["health.command"]("id -un", runas="nobody", **{**QUICK, "deadline_s": 5})["last"]
        == "exit code 0: nobody"
    )


def test_the_first_check_waits_for_the_readiness_delay(health, tmp_path):
    """And the deadline begins after it."""
    started = time.monotonic()
    health["health.command"]("true", readiness_delay_s=0.5, interval_s=0.01, timeout_s=5, deadline_s=0.4)
    assert time.monotonic() - started >= 0.5


def test_only_the_checks_are_commands():
    loader = salt.loader.LazyLoader([str(ROOT / "_modules")], salt.config.DEFAULT_MINION_OPTS.copy(), tag="module")
    assert {name for name in loader if name.startswith("health.")} == {
        "health.http",
        "health.tcp",
        "health.command",
    }
