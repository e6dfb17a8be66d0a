"""The whole server: nginx -> varnish -> haproxy -> two instances, and the one request id that passes them all."""

import json
import time

import pytest

pytestmark = pytest.mark.e2e

LOGS = {
    "nginx": "cat /var/log/nginx/access.log",
    "varnish": "cat /var/log/varnish/varnishncsa.log",
    "haproxy": "journalctl -u haproxy -o cat",
    "app": "cat /var/log/app/*.log",
}


def test_the_health_path_goes_through_to_an_instance(host):
    assert host.check_output("curl -si http://127.0.0.1/health").split()[1] == "200"
    host.check_output("supervisorctl stop app:*")
    assert _eventually(lambda: host.check_output("curl -si http://127.0.0.1/health").split()[1], "503")
    host.check_output("supervisorctl start app:*")
    assert _eventually(lambda: host.check_output("curl -si http://127.0.0.1/health").split()[1], "200")


@pytest.mark.parametrize("given", ["from-outside-1", ""])
def test_every_hop_logs_the_one_request_id(host, given):
    header = f"X-Request-Id: {given}" if given else "X-None: x"
    answer = json.loads(host.check_output("curl -s -H %s http://127.0.0.1/", header))
    request_id = answer["request_id"]
    assert request_id == given if given else len(request_id) == 32
    for hop, command in LOGS.items():
        assert _eventually(lambda command=command: len(_lines(host, command, request_id)), 1), hop
        assert _lines(host, command, request_id)[0]["hop"] == hop


def test_both_instances_answer(host):
    answers = [json.loads(host.check_output("curl -s http://127.0.0.1/")) for _ in range(20)]
    assert {answer["instance"] for answer in answers} == {"app-9001", "app-9002"}
    assert {answer["server"] for answer in answers} == {"app-server-1"}


def test_one_dead_instance_costs_no_request(host):
    host.check_output("supervisorctl stop app:app-9001")
    codes = {host.check_output("curl -so /dev/null -w %s http://127.0.0.1/", "%{http_code}") for _ in range(20)}
    host.check_output("supervisorctl start app:app-9001")
    assert codes == {"200"}


def test_another_revision_in_pillar_is_a_new_release(server, host):
    first = host.file("/srv/app/current").linked_to
    _deploy(server, "next")
    second = host.check_output("git -C /srv/git/app rev-parse next")
    assert _revision(host) == second
    assert host.file(first).exists
    _deploy(server, "main")
    assert host.file("/srv/app/current").linked_to == first
    assert _revision(host) == host.check_output("git -C /srv/git/app rev-parse main")


def test_a_revision_can_be_a_commit(server, host):
    second = host.check_output("git -C /srv/git/app rev-parse next")
    _deploy(server, second)
    assert _revision(host) == second
    assert not {n: s["changes"] for n, s in _deploy(server, second).items() if s["changes"]}


def test_a_server_that_does_not_follow_keeps_its_release(server, host):
    before = host.file("/srv/app/current").linked_to
    assert not {n: s["changes"] for n, s in _deploy(server, "main", follow=False).items() if s["changes"]}
    assert host.file("/srv/app/current").linked_to == before


def test_a_highstate_does_not_undo_a_release(server, host):
    """The module's way to a revision, then the formula's: the latter finds nothing to do."""
    _deploy(server, "main")
    sha = host.check_output("git -C /srv/git/app rev-parse next")
    folder = f"/srv/app/releases/{sha}"
    host.check_output(f"rm -rf {folder}")
    _revision_module(server, f"prepare /srv/app file:///srv/git/app {sha} user=app")
    build = "python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt"
    server.run(f"cd {folder} && runuser -u app -- sh -c '{build}'")
    _revision_module(server, f"built /srv/app {sha}")
    assert _revision_module(server, f"activate /srv/app {sha}")["changed"] is True
    server.run("supervisorctl restart app:*")
    assert _revision(host) == sha
    states = _deploy(server, "main", follow=False)
    assert not {n: s["changes"] for n, s in states.items() if s["changes"]}
    assert _revision(host) == sha


def _deploy(server, revision: str, follow: bool = True):
    return server.apply(app={**server.suite.pillar["app"], "revision": revision, "follow": follow})


def _revision_module(server, call: str):
    return json.loads(server.run(f"salt-call --local --out=json --log-level=error revision.{call}"))["local"]


def _revision(host) -> str:
    assert _eventually(lambda: host.check_output("curl -si http://127.0.0.1/health").split()[1], "200")
    return json.loads(host.check_output("curl -s http://127.0.0.1/"))["revision"]


def _lines(host, command: str, request_id: str) -> list[dict[str, str]]:
    lines = host.check_output(command).splitlines()
    return [json.loads(line) for line in lines if f'"{request_id}"' in line]


def _eventually(seen, wanted, deadline_s: float = 20) -> bool:
    deadline = time.monotonic() + deadline_s
    while seen() != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return seen() == wanted
