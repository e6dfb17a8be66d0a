"""Two servers of keepalived, which see each other by unicast."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def two(pair):
    """Both, after a highstate of both at once, and a second one that changed nothing; the master first, whoever was quicker."""
    settings = {"members": {server.id: server.address for server in pair}}
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda server: server.apply(keepalived=settings), pair))
        for states in pool.map(lambda server: server.apply(keepalived=settings), pair):
            assert not any(state["changes"] for state in states.values())
    until(pair[:1], "MASTER|BACKUP")
    time.sleep(5)  # longer than an election takes
    return sorted(pair, key=lambda server: server.run("cat /run/keepalived.state"), reverse=True)


def until(servers, *words):
    for server, word in zip(servers, words, strict=True):
        server.run(
            f"for i in $(seq 200); do grep -Eqx '{word}' /run/keepalived.state && exit 0; sleep 0.1; done; exit 1"
        )


def test_one_master_and_one_backup(two):
    until(two, "MASTER", "BACKUP")


def test_modules_say_who_is_who(two):
    assert [server.call("dbrole.get")["role"] for server in two] == ["primary", "standby"]


def test_the_other_takes_over_and_keeps_it(two):
    """Who comes back does not take it away again: that would be a second change for nothing."""
    until(two, "MASTER", "BACKUP")
    two[0].run("systemctl stop keepalived")
    until(two, "BACKUP", "MASTER")
    two[0].run("systemctl start keepalived && sleep 6")
    until(two, "BACKUP", "MASTER")


def test_a_killed_master_is_followed_too(two):
    until(two, "BACKUP", "MASTER")
    two[1].run("systemctl kill -s KILL keepalived")
    until(two, "MASTER", "BACKUP")
    two[1].run("systemctl reset-failed keepalived; systemctl restart keepalived")


def test_after_a_boot_the_word_is_there_and_right(two):
    two[1].reboot()
    until(two, "MASTER", "BACKUP")
