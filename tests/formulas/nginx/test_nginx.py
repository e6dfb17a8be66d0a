"""nginx alone: what is behind it is missing, what it adds is there."""

import json
import re

import pytest

pytestmark = pytest.mark.e2e


def test_service(host):
    assert host.service("nginx").is_running
    assert host.service("nginx").is_enabled
    assert host.socket("tcp://0.0.0.0:80").is_listening


def test_configuration_is_valid_and_debians_welcome_page_is_gone(host):
    assert host.run("nginx -t").rc == 0
    assert "Welcome to nginx" not in host.check_output("curl -s http://127.0.0.1/")


def test_without_a_proxy_behind_it_says_so(host):
    assert "502 Bad Gateway" in host.check_output("curl -si http://127.0.0.1/")


def test_makes_a_request_id_and_logs_it(host):
    made = re.search(r"(?im)^x-request-id: ([0-9a-f]{32})\r?$", host.check_output("curl -si http://127.0.0.1/made"))
    assert made
    assert _logged(host, "/made")["request_id"] == made[1]


def test_keeps_the_request_id_that_came_in(host):
    answer = host.check_output("curl -si -H 'X-Request-Id: Root=1-67891233-abc:def' http://127.0.0.1/kept")
    assert "x-request-id: root=1-67891233-abc:def" in answer.lower()
    assert _logged(host, "/kept")["request_id"] == "Root=1-67891233-abc:def"


@pytest.mark.parametrize("bad", ['a"b', "a b", "x" * 129])
def test_an_id_unfit_for_a_log_line_is_replaced(host, bad):
    path = f"/bad{len(bad)}"
    host.check_output("curl -si -H %s http://127.0.0.1%s", f"X-Request-Id: {bad}", path)
    assert re.fullmatch("[0-9a-f]{32}", _logged(host, path)["request_id"])


def _logged(host, uri: str) -> dict[str, str]:
    """The last line of the access log about this address."""
    lines = [json.loads(line) for line in host.file("/var/log/nginx/access.log").content_string.splitlines()]
    return [line for line in lines if line["uri"] == uri][-1]
