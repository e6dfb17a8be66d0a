"""HAProxy alone: its servers are down, and it knows them all."""

import csv
import json
import time

import pytest

pytestmark = pytest.mark.e2e

SERVERS = ("app-9001", "app-9002", "app-9003")
SALT_CALL = "salt-call --local --out=json --log-level=quiet"


def test_service(host):
    assert host.service("haproxy").is_running
    assert host.service("haproxy").is_enabled
    assert host.socket("tcp://0.0.0.0:8080").is_listening


def test_configuration_is_valid_without_warnings(host):
    checked = host.run("haproxy -c -f /etc/haproxy/haproxy.cfg")
    assert (checked.rc, checked.stderr) == (0, "")


def test_knows_as_many_servers_as_pillar_has_instances(host):
    assert [row["svname"] for row in _statistics(host)] == list(SERVERS)


def test_servers_are_checked_and_down(host):
    assert {row["status"] for row in _statistics(host)} == {"DOWN"}
    assert "503 Service Unavailable" in host.check_output("curl -si http://127.0.0.1:8080/health")


def test_the_admin_socket_takes_a_server_out(host):
    _ask(host, "set server app/app-9002 state maint")
    assert _status(host, "app-9002") == "MAINT"
    _ask(host, "set server app/app-9002 state ready")
    assert _status(host, "app-9002") != "MAINT"
    # HAProxy takes it for up ("UP 1/2") until the checks have failed.
    for _ in range(60):
        if _status(host, "app-9002") == "DOWN":
            break
        time.sleep(0.25)
    assert _status(host, "app-9002") == "DOWN"


def test_releases_speak_to_it_by_the_runtime_module(host):
    """`_modules/haproxy_runtime.py` against a real HAProxy: what it says, what it changes, what it refuses."""

    def told(function: str, *arguments: str):
        answer = host.run(f"{SALT_CALL} haproxy_runtime.{function} {' '.join(arguments)}")
        assert answer.rc == 0, answer.stderr
        return json.loads(answer.stdout)["local"]

    assert {name: one["admin"] for name, one in told("show", "app").items()} == dict.fromkeys(SERVERS, "ready")
    for order in ("drain", "maint", "ready"):
        changed = told(order, "app", "app-9001")
        assert (changed["now"], changed["changed"]) == (order, True)
        assert told("show", "app")["app-9001"]["admin"] == order
    assert told("ready", "app", "app-9001")["changed"] is False
    assert told("sessions", "app", "app-9001") == 0
    for wrong, why in (("show nope", "Can't find backend"), ("drain app app-1", "app has no server app-1")):
        refused = host.run(f"{SALT_CALL} haproxy_runtime.{wrong}")
        assert refused.rc != 0
        assert why in refused.stdout + refused.stderr


def test_the_admin_socket_is_not_everybodys(host):
    assert host.file("/run/haproxy/admin.sock").mode == 0o660


@pytest.mark.parametrize(("given", "logged"), [("kept-1", "kept-1"), ("", "haproxy-")])
def test_logs_the_request_id(host, given, logged):
    header = f"X-Request-Id: {given}" if given else "X-None: x"
    host.check_output("curl -s -H %s http://127.0.0.1:8080/logged/%s", header, given)
    lines = host.check_output("journalctl -u haproxy -o cat").splitlines()
    found = [json.loads(line) for line in lines if f'/logged/{given}"' in line.replace("\\/", "/")]
    assert found[-1]["request_id"].startswith(logged)
    assert found[-1]["status"] == "503"


def _status(host, server: str) -> str:
    [status] = [row["status"] for row in _statistics(host) if row["svname"] == server]
    return status


def _statistics(host) -> list[dict[str, str]]:
    rows = csv.DictReader(_ask(host, "show stat").lstrip("# ").splitlines())
    return [row for row in rows if row["pxname"] == "app" and row["svname"] != "BACKEND"]


def _ask(host, command: str) -> str:
    program = (
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect('/run/haproxy/admin.sock')\n"
        "s.sendall(sys.argv[1].encode() + b'\\n')\nprint(s.makefile().read())"
    )
    return host.check_output("python3 -c %s %s", program, command)


SILENT = """
import http.server, pathlib
class Silent(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.send_response(200)
            self.end_headers()
        else:
            with pathlib.Path("/tmp/asked").open("a") as asked:
                print(self.command, file=asked)
    do_POST = do_GET
http.server.HTTPServer(("127.0.0.1", 9001), Silent).serve_forever()
"""


def test_what_may_have_been_carried_out_is_not_sent_again(host):
    """To a server that takes the request and closes without a word: a GET is tried again, a POST is not."""
    host.check_output("printf %s %s > /tmp/silent.py; systemd-run --unit=silent python3 /tmp/silent.py", "%s", SILENT)
    for _ in range(80):
        if _status(host, "app-9001") == "UP":
            break
        time.sleep(0.25)
    assert _status(host, "app-9001") == "UP"
    for options in ("", "--data hello"):
        host.check_output(f"curl -s -o /dev/null {options} http://127.0.0.1:8080/")
    asked = host.check_output("systemctl stop silent; cat /tmp/asked").split()
    assert (asked.count("GET") > 1, asked.count("POST")) == (True, 1)
