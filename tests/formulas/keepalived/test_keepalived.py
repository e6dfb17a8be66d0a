"""One server of keepalived, whose word is there from the start and never a stale one."""

import pytest

pytestmark = pytest.mark.e2e
STATE = "/run/keepalived.state"
DROP_IN = "/etc/systemd/system/keepalived.service.d/saltlick.conf"


def until(host, word):
    host.check_output(
        f"for i in $(seq 150); do grep -qx {word} {STATE} && exit 0; sleep 0.1; done; cat {STATE}; exit 1"
    )


def test_service(host):
    assert host.service("keepalived").is_running
    assert host.service("keepalived").is_enabled


def test_alone_it_is_the_master(host):
    until(host, "MASTER")
    assert host.file(STATE).mode == 0o644


def test_the_word_is_there_before_keepalived_is(host):
    """As after a boot: /run is empty, and keepalived tells of changes only. It has not won yet, whoever it is."""
    host.check_output(f"systemctl stop keepalived && rm -f {STATE}")
    host.check_output("systemctl show -P ExecStartPre keepalived | grep -q keepalived-state")
    host.check_output("/usr/local/sbin/keepalived-state INSTANCE data BACKUP")
    assert host.file(STATE).content_string == "BACKUP\n"
    host.check_output(f"rm {STATE} && systemctl start keepalived && test -e {STATE}")
    until(host, "MASTER")


@pytest.mark.parametrize("how", ["systemctl stop keepalived", "systemctl kill -s KILL keepalived"])
def test_who_is_gone_is_no_master(host, how):
    host.check_output(how)
    until(host, "BACKUP")
    host.check_output("systemctl reset-failed keepalived; systemctl restart keepalived")
    until(host, "MASTER")


def test_words_of_keepalived_become_one_of_two(host):
    for said, word in (("FAULT", "BACKUP"), ("STOP", "BACKUP"), ("MASTER", "MASTER")):
        host.check_output("/usr/local/sbin/keepalived-state INSTANCE data %s 100", said)
        assert host.file(STATE).content_string == f"{word}\n"


def test_who_fails_its_check_is_no_master(server, host):
    server.apply(keepalived={"check": "test -e /tmp/well", "check_s": 1})
    until(host, "BACKUP")
    host.check_output("touch /tmp/well")
    until(host, "MASTER")
    host.check_output("rm /tmp/well")
    until(host, "BACKUP")
    server.apply()
    until(host, "MASTER")


def test_a_configuration_that_keepalived_refuses_is_not_put_into_place(server, host):
    before = host.file("/etc/keepalived/keepalived.conf").content_string
    with pytest.raises(AssertionError, match="keepalived-config-main"):
        server.apply(keepalived={"router_id": 999})
    assert host.file("/etc/keepalived/keepalived.conf").content_string == before
    server.apply()
    assert host.service("keepalived").is_running


def test_a_member_that_is_not_here_is_refused(server):
    with pytest.raises(AssertionError, match="keepalived: this server, keepalived-1, is not among the members other"):
        server.apply(keepalived={"members": {"other": "10.0.0.1"}})
    with pytest.raises(AssertionError, match="keepalived: no interface of keepalived-1 has the address"):
        server.apply(keepalived={"members": {"keepalived-1": "192.0.2.1"}})
    server.apply()
