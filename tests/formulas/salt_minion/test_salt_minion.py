"""The minion's own configuration, and a restart that waits for the job that asked for it."""

import time

import pytest

pytestmark = pytest.mark.e2e

SETTINGS = "/etc/salt/minion.d/saltlick-settings.conf"
PENDING = "/var/run/saltlick-minion-restart"


def test_settings_are_defaults_with_pillar_on_top(host):
    text = host.file(SETTINGS).content_string
    assert "log_level_logfile: warning" in text
    assert "tcp_keepalive_idle: 120" in text


def test_bootstrap_settings_are_not_repeated(host):
    text = host.file(SETTINGS).content_string
    assert not any(line.startswith(("id:", "master", "pillarenv")) for line in text.splitlines())


def test_a_changed_setting_restarts_the_minion_after_the_highstate(server, host):
    before = _started(host)
    slow = f"sleep 4; test -e {PENDING} && date +%s%N > /root/highstate-ended"
    server.write("/srv/salt/slow.sls", f"slow:\n  cmd.run:\n    - name: {slow}\n")
    server.write("/srv/salt/top.sls", "base:\n  '*': [salt_minion, slow]\n")
    server.apply(salt_minion={"settings": {"log_level_logfile": "debug"}})
    _wait(lambda: _started(host) != before)
    ended_ns = int(host.file("/root/highstate-ended").content_string)
    assert _started(host) >= ended_ns // 10**9
    _wait(lambda: not host.file(PENDING).exists)
    assert host.service("salt-minion").is_running


def test_a_minion_that_is_not_running_is_not_started(server, host):
    server.run("systemctl stop salt-minion")
    server.write("/srv/salt/top.sls", "base:\n  '*': [salt_minion]\n")
    states = server.apply(salt_minion={"settings": {"log_level_logfile": "info"}})
    assert any(name.startswith("salt_minion-service-restart") and s["changes"] for name, s in states.items())
    _wait(lambda: host.run("systemctl is-active saltlick-minion-restart").rc != 0)
    assert not host.service("salt-minion").is_running
    assert not host.file(PENDING).exists


def _started(host) -> int:
    """When the minion's process started, in seconds since 1970."""
    return int(host.check_output("stat -c %Y /proc/$(systemctl show -P MainPID salt-minion)"))


def _wait(seen, deadline_s: float = 30) -> None:
    deadline = time.monotonic() + deadline_s
    while not seen():
        assert time.monotonic() < deadline, f"not seen in {deadline_s} s"
        time.sleep(0.2)
