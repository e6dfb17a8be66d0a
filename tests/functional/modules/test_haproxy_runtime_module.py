"""The execution module `haproxy_runtime`, loaded by Salt's own loader, against a stand-in for HAProxy.

The formula's tests speak to a real one. The stand-in gives the answers of HAProxy's source (`cli_parse_show_servers`,
`expect_server_admin`).
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError
from support import minion_modules

MAINT, DRAIN, CONFIGURED = 0x01, 0x08, 0x04
STATES = {"ready": 0, "maint": MAINT, "drain": DRAIN}


class Imitation(socketserver.ThreadingUnixStreamServer):
    """A runtime socket with the backends `app` (two servers) and `other`; `flags` and `sessions` are by server."""

    def __init__(self, path: str, level: str = "admin") -> None:
        self.level = level
        self.flags = {"app-9001": 0, "app-9002": 0}
        self.sessions = {"app-9001": 3, "app-9002": 0}
        self.asked: list[str] = []
        super().__init__(path, Answer)

    def answer(self, words: list[str]) -> str:
        match words:
            case ["show", "stat"]:
                return self._stat()
            case ["show", "servers", "state", "app"]:
                return self._states()
            case ["show", "servers", "state", _]:
                return "Can't find backend.\n\n"
            case ["set", "server", target, "state", state]:
                backend, _, server = target.partition("/")
                return self._set(backend, server, state)
        return "Unknown command: '" + " ".join(words) + "', but maybe one of the following ones is a better match:\n"

    def _set(self, backend: str, server: str, state: str) -> str:
        if self.level != "admin":
            return "Permission denied\n\n"
        if backend != "app":
            return "No such backend.\n\n"
        if server not in self.flags:
            return "No such server.\n\n"
        if state not in STATES:
            return "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n"
        self.flags[server] = self.flags[server] & CONFIGURED | STATES[state]
        return "\n"

    def _stat(self) -> str:
        head = "# pxname,svname,qcur,qmax,scur,smax,status,check_status,\n"
        words = {0: "UP", MAINT: "MAINT", DRAIN: "DRAIN"}
        rows = "".join(
            f"app,{server},0,0,{self.sessions[server]},9,{words[flags & ~CONFIGURED]},* L7OK,\n"
            for server, flags in self.flags.items()
        )
        return f"{head}app,FRONTEND,,,7,9,OPEN,,\n{rows}app,BACKEND,0,0,7,9,UP,,\nother,app-9001,0,0,99,99,UP,L7OK,\n\n"

    def _states(self) -> str:
        names = "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_fqdn srv_port srvrecord"
        rows = "".join(
            f"4 app {n} {s} 10.0.0.1 2 {f} 1 - {9000 + n} -\n" for n, (s, f) in enumerate(self.flags.items(), 1)
        )
        return f"1\n# {names}\n{rows}\n"


class Answer(socketserver.StreamRequestHandler):
    server: Imitation

    def handle(self) -> None:
        line = self.rfile.readline().decode().strip()
        self.server.asked.append(line)
        self.wfile.write(self.server.answer(line.split()).encode())


@pytest.fixture(scope="module")
def haproxy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    loaded = minion_modules.modules(tmp_path_factory.mktemp("minion"), "haproxy_runtime")
    return lambda function, *args, **kwargs: loaded[f"haproxy_runtime.{function}"](*args, **kwargs)


@pytest.fixture
def imitation(tmp_path: Path) -> Iterator[Imitation]:
    with Imitation(str(tmp_path / "admin.sock")) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def path(imitation: Imitation) -> str:
    return str(imitation.server_address)


def test_shows_what_haproxy_sees(haproxy, path):
    assert haproxy("show", "app", socket=path) == {
        "app-9001": {
            "admin": "ready", "status": "UP", "check": "L7OK", "sessions": 3, "queue": 0, "address": "10.0.0.1:9001"
        },
        "app-9002": {
            "admin": "ready", "status": "UP", "check": "L7OK", "sessions": 0, "queue": 0, "address": "10.0.0.1:9002"
        },
    }  # fmt: skip


def test_out_and_in_again(haproxy, path, imitation):
    changes = [haproxy(order, "app", "app-9001", socket=path) for order in ("drain", "drain", "maint", "ready")]
    assert [(change["before"], change["now"], change["changed"], change["sessions"]) for change in changes] == [
        ("ready", "drain", True, 3), ("drain", "drain", False, 3), ("drain", "maint", True, 3), ("maint", "ready", True, 3)
    ]  # fmt: skip
    assert imitation.flags == {"app-9001": 0, "app-9002": 0}
    assert [line for line in imitation.asked if line.startswith("set")] == [
        f"set server app/app-9001 state {state}" for state in ("drain", "maint", "ready")
    ]


def test_sessions_are_those_of_that_backend(haproxy, path):
    assert haproxy("sessions", "app", "app-9001", socket=path) == 3


def test_a_server_that_the_file_disables_can_be_made_ready(haproxy, path, imitation):
    imitation.flags["app-9001"] = MAINT | CONFIGURED
    assert haproxy("ready", "app", "app-9001", socket=path)["now"] == "ready"


@pytest.mark.parametrize("order", ["drain", "maint", "ready", "sessions"])
def test_mistakes_are_errors_though_haproxy_answers_them(haproxy, path, order):
    with pytest.raises(CommandExecutionError, match=r"^nope: HAProxy says \"Can't find backend\.\"$"):
        haproxy(order, "nope", "app-9001", socket=path)
    with pytest.raises(CommandExecutionError, match=r"^app has no server app-1; it has app-9001, app-9002$"):
        haproxy(order, "app", "app-1", socket=path)


def test_a_socket_that_may_not_change_anything_is_said(haproxy, path, imitation):
    imitation.level = "operator"
    with pytest.raises(CommandExecutionError, match="Permission denied: the socket is not of level admin"):
        haproxy("drain", "app", "app-9001", socket=path)


def test_an_order_that_changed_nothing_is_an_error(haproxy, path, imitation, monkeypatch):
    monkeypatch.setitem(STATES, "drain", 0)
    with pytest.raises(
        CommandExecutionError, match="app/app-9001 is ready, though HAProxy took the order to make it drain"
    ):
        haproxy("drain", "app", "app-9001", socket=path)


def test_an_absent_socket_is_said(haproxy, tmp_path):
    with pytest.raises(CommandExecutionError, match=r"no\.sock does not exist: HAProxy is not running"):
        haproxy("show", "app", socket=str(tmp_path / "no.sock"))


def test_a_socket_left_by_a_dead_haproxy_is_said(haproxy, tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left.sock"))
    with pytest.raises(CommandExecutionError, match=r"left\.sock: show servers state app: .*refused"):
        haproxy("show", "app", socket=str(tmp_path / "left.sock"))


def test_a_haproxy_that_hangs_costs_no_more_than_the_time_limit(haproxy, tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        with pytest.raises(CommandExecutionError, match="timed out"):
            haproxy("show", "app", socket=str(tmp_path / "silent.sock"), timeout_s=0.2)


@pytest.mark.parametrize("name", ["a b", "app;shutdown", "x\ny", "", "app/x"])
def test_names_cannot_be_commands(haproxy, path, imitation, name):
    for arguments in (("show", name), ("drain", "app", name)):
        with pytest.raises(CommandExecutionError, match="cannot be the name"):
            haproxy(*arguments, socket=path)
    assert imitation.asked == []


def test_only_these_are_commands():
    names = ("show", "sessions", "drain", "maint", "ready")
    assert minion_modules.commands("haproxy_runtime") == {f"haproxy_runtime.{name}" for name in names}
