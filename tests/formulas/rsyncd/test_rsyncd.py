"""The rsync daemon: who gets in, to what, from where."""

import pytest

pytestmark = pytest.mark.e2e
ANSWER = "cd /tmp && printf '%s' '{password}' > secret && chmod 600 secret && rsync --password-file=secret "


def rsync(host, arguments, password="one#1"):
    return host.run(ANSWER.replace("{password}", password) + arguments)


def test_service(host):
    assert host.service("rsync").is_running
    assert host.service("rsync").is_enabled
    assert host.socket("tcp://0.0.0.0:873").is_listening


def test_secrets_are_root_s_alone(host):
    secrets = host.file("/etc/rsyncd.secrets")
    assert (secrets.user, secrets.mode) == ("root", 0o600)
    assert secrets.content_string.splitlines()[1:] == ["backup:one#1", "refresh:two"]


def test_what_is_sent_arrives_whole_and_comes_back(host):
    host.check_output(
        "mkdir -p /tmp/in/sub && head -c 100000 /dev/urandom > /tmp/in/sub/file && chown nobody /tmp/in/sub/file"
    )
    assert rsync(host, "-a /tmp/in/ rsync://backup@127.0.0.1/backups/job/").rc == 0
    assert host.file("/srv/backups/job/sub/file").user == "nobody"
    assert host.file("/srv/backups").mode == 0o700
    assert rsync(host, "-a rsync://backup@127.0.0.1/backups/job/ /tmp/out/").rc == 0
    assert host.run("diff -r /tmp/in /tmp/out").rc == 0


def test_a_module_is_read_only_unless_said(host):
    assert rsync(host, "rsync://backup@127.0.0.1/logs/ .").rc == 0
    refused = rsync(host, "/etc/hostname rsync://backup@127.0.0.1/logs/x")
    assert "module is read only" in refused.stderr
    assert not host.file("/var/log/x").exists


@pytest.mark.parametrize(
    ("user", "password"), [("backup", "two"), ("backup", "one"), ("nobody", "one#1"), ("refresh", "two")]
)
def test_nobody_else_gets_in(host, user, password):
    refused = rsync(host, f"rsync://{user}@127.0.0.1/backups/ .", password)
    assert (refused.rc, "auth failed on module backups" in refused.stderr) == (5, True)


def test_who_may_read_one_module_may_not_read_another(host):
    assert rsync(host, "rsync://refresh@127.0.0.1/logs/ .", "two").rc == 0


def test_nobody_gets_in_from_elsewhere(host):
    assert "Unknown module" in rsync(host, "rsync://backup@127.0.0.1/elsewhere/ .").stderr


def test_modules_are_not_told_to_who_asks(host):
    assert host.check_output("rsync rsync://127.0.0.1/") == ""


def test_a_changed_module_is_there_at_once_and_transfers_go_on(server, host):
    rsyncd = server.suite.pillar["rsyncd"]
    pid = host.check_output("systemctl show -P MainPID rsync")
    more = {
        **rsyncd["modules"],
        "more": {"path": "/srv/more", "users": ["refresh"], "read_only": False, "max_connections": 1},
    }
    server.apply(rsyncd={**rsyncd, "modules": more})
    assert rsync(host, "/etc/hostname rsync://refresh@127.0.0.1/more/", "two").rc == 0
    assert host.file("/srv/more/hostname").exists
    assert host.check_output("systemctl show -P MainPID rsync") == pid


SLOW = """
import socket, time
s = socket.create_connection(("127.0.0.1", 873))
s.sendall(b"@RSYNCD: 31.0\\nlogs\\n")
told = b""
while b"AUTHREQD" not in told:  # the module has counted it
    told += s.recv(99) or exit("refused: " + repr(told))
open("/tmp/held", "w")
time.sleep(60)
"""


def test_more_connections_than_allowed_are_refused(server, host):
    rsyncd = server.suite.pillar["rsyncd"]
    server.apply(rsyncd={**rsyncd, "modules": {"logs": {**rsyncd["modules"]["logs"], "max_connections": 1}}})
    server.write("/root/slow.py", SLOW)
    server.run("rm -f /tmp/held; python3 /root/slow.py >/tmp/slow.out 2>&1 & echo $! > /tmp/holder")
    host.check_output("for i in $(seq 100); do test -e /tmp/held && exit 0; sleep 0.1; done; cat /tmp/slow.out; exit 1")
    assert "max connections (1) reached" in rsync(host, "rsync://backup@127.0.0.1/logs/ .").stderr
    server.run("kill $(cat /tmp/holder)")
    server.apply()


def test_another_port_is_listened_at_at_once(server, host):
    server.apply(rsyncd={**server.suite.pillar["rsyncd"], "port": 8730, "address": "127.0.0.1"})
    assert host.socket("tcp://127.0.0.1:8730").is_listening
    assert not host.socket("tcp://0.0.0.0:873").is_listening
    server.apply()
    assert host.socket("tcp://0.0.0.0:873").is_listening


@pytest.mark.parametrize("users", [[], ["somebody"]])
def test_a_module_that_would_be_open_is_refused_before_anything_is_written(server, users):
    modules = {"open": {"path": "/srv", "users": users}}
    with pytest.raises(AssertionError, match="rsyncd: module open names"):
        server.apply(rsyncd={**server.suite.pillar["rsyncd"], "modules": modules})
    server.apply()
