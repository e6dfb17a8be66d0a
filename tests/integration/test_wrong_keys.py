"""Three wrong keys, all real, at a real master: each stays where it is and is named; and keys of destroyed servers go."""

from __future__ import annotations

import pytest
from integration.integration_master import environment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_a_strangers_key_stays_pending_and_is_named(deployed):
    stranger = deployed.minion("stranger", honest=False).knock()
    deployed.eventually(lambda: "stranger" in deployed.keys("pending"), "the stranger's key")
    done = deployed.deploy()
    assert done.code == 0
    assert "stranger" in deployed.keys("pending")
    assert "stranger" not in deployed.keys("accepted")
    comment = done.states["admission"]["comment"]
    assert f"stranger: key {stranger.finger[:23]}" in comment
    assert "declares no server of that name" in comment


def test_a_second_key_for_a_known_name_is_denied_and_named_and_the_first_one_serves_on(deployed):
    impostor = deployed.minion("test-first-1", own="impostor", honest=False).knock()
    deployed.eventually(lambda: "test-first-1" in deployed.keys("denied"), "the impostor's key")
    done = deployed.deploy()
    assert done.code == 0, done.failed
    assert impostor.finger[:23] in done.states["admission"]["comment"]
    assert "second key for a name that has one" in done.states["admission"]["comment"]
    accepted = (deployed.pki / "minions/test-first-1").read_text().split()
    assert accepted == (deployed.minions["test-first-1"].folder / "pki/minion.pub").read_text().split()


def test_a_wrong_fingerprint_stays_pending_and_is_not_in_the_way_of_the_true_one(servers):
    """Somebody took a server's name before the server itself came up, and goes on asking."""
    servers.pillar(
        "test",
        environment("test", ready_s=15).replace(
            "  salt:", "    third: {count: 1, type: t3.small, subnet: public, firewall: app}\n  salt:"
        ),
    )
    honest = servers.minion("test-third-1", own="honest")
    squatter = servers.minion("test-third-1", own="squatter", honest=False).knock()
    servers.eventually(lambda: "test-third-1" in servers.keys("pending"), "the squatter's key")
    done = servers.deploy()
    assert done.code != 0
    assert list(done.failed) == ["admission"]
    comment = done.states["admission"]["comment"]
    assert "test-third-1: it is not its instance's" in comment
    assert honest.finger in comment
    assert "test-third-1" in servers.keys("pending")
    assert "test-third-1" not in servers.keys("accepted")
    assert (servers.pki / "minions_pre/test-third-1").read_text().split() == (
        squatter.folder / "pki/minion.pub"
    ).read_text().split()

    honest.start()
    servers.eventually(lambda: "test-third-1" in servers.keys("denied"), "the true key, denied for the squatter's")
    servers.deploy()
    assert (servers.pki / "minions/test-third-1").read_text().split() == (
        honest.folder / "pki/minion.pub"
    ).read_text().split()


def test_keys_of_destroyed_servers_go_with_them_and_nobody_elses(deployed):
    kept = {name for name in deployed.keys("accepted") if not name.startswith("test-")}
    done = deployed.run(
        "state.orchestrate", "orch.destroy-environment", "pillarenv=test", 'pillar={"confirm": "test"}', "--out=json"
    )
    assert done.code == 0, (done.failed, done.stderr)
    assert deployed.keys("accepted") == kept
    for name in ("test-first-1", "test-second-1"):
        deployed.minions[name].kill()
