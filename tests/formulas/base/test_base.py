"""What every server has."""

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("name", ["ca-certificates", "curl", "git", "logrotate"])
def test_packages(host, name):
    assert host.package(name).is_installed


def test_logging_in_is_answered_with_the_rule(host):
    assert "What is changed by hand here is lost" in host.file("/etc/motd").content_string


def test_the_journal_outlives_a_restart_of_the_server(host):
    assert host.file("/etc/systemd/journald.conf.d/saltlick.conf").contains("Storage=persistent")
    assert host.service("systemd-journald").is_running
