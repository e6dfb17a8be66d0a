"""One member alone: it serves, keeps what it was given, and the package's own service stays away."""

import pytest

pytestmark = pytest.mark.e2e
ETCDCTL = "ETCDCTL_API=3 etcdctl --endpoints=http://127.0.0.1:2379"
UNIT = "saltlick-etcd@shop"


def test_its_service_runs_and_the_packages_own_is_masked(host):
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    assert host.file("/etc/systemd/system/etcd.service").linked_to == "/dev/null"


def test_the_member_is_named_after_its_server(host):
    members = host.check_output(f"{ETCDCTL} member list -w simple")
    assert ", started, etcd-1, http://127.0.0.1:2380, http://127.0.0.1:2379, " in members


def test_only_its_user_reads_its_data(host):
    data = host.file("/var/lib/saltlick-etcd")
    assert (data.user, data.mode) == ("etcd", 0o700)


def test_what_it_was_given_outlives_a_killed_process(host):
    host.check_output(f"{ETCDCTL} put /kept 'by the log'")
    host.check_output(f"systemctl kill --signal=KILL {UNIT} && systemctl restart {UNIT}")
    assert host.check_output(f"{ETCDCTL} --command-timeout=30s get --print-value-only /kept") == "by the log"


def test_a_server_that_is_not_among_the_members_is_refused(server):
    with pytest.raises(AssertionError, match="etcd-1, is not among the members elsewhere"):
        server.apply(etcd={"clusters": {"shop": {"members": {"elsewhere": "127.0.0.1"}}}})


def test_an_even_number_of_members_is_refused(server):
    with pytest.raises(AssertionError, match="2 members lose the majority"):
        server.apply(etcd={"clusters": {"shop": {"members": {"etcd-1": "127.0.0.1", "other": "127.0.0.2"}}}})
