"""`orch.deploy-environment` on a real master with real minions: what goes well, and that Salt's traps do not bite."""

from __future__ import annotations

import json
import time

import pytest
from integration.integration_master import environment, interrupt

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_deploys_and_again_changes_nothing(servers):
    first = servers.deploy()
    assert first.code == 0, (first.failed, first.stderr)
    order = [
        "lock",
        "network and servers",
        "admission",
        "modules",
        "services of tier 1",
        "services of tier 2",
        "schedule",
        "unlock",
    ]
    assert list(first.states) == order
    assert servers.keys("accepted") >= {"test-first-1", "test-second-1"}
    assert servers.configured("test-first-1").read_text() == "secret of test\n"

    again = servers.deploy()
    assert again.code == 0
    assert {name: state["changes"] for name, state in again.states.items() if state["changes"]} == {}
    assert "2 servers are in, 0 of them new" in again.states["admission"]["comment"]


def test_a_mistyped_environment_fails_with_a_sentence(master):
    typo = master.deploy("tset")
    assert typo.code != 0
    assert "tset: is not an environment; pillar_roots has control, prod, test" in typo.states["refused"]["comment"]
    assert (
        "name an environment"
        in master.run("state.orchestrate", "orch.deploy-environment", "--out=json").states["refused"]["comment"]
    )


def test_an_environment_whose_pillar_says_another_name_is_refused(master):
    master.pillar("prod", environment("prod").replace("name: prod", "name: test"))
    done = master.deploy("prod")
    master.pillar("prod", environment("prod"))
    assert done.code != 0
    assert "test is not prod" in done.states["refused"]["comment"]
    assert "network and servers" not in done.states


def test_a_dead_minion_fails_the_run_by_name_and_nothing_follows(deployed):
    deployed.pillar("test", environment("test", ready_s=12))
    deployed.minions["test-second-1"].kill()
    done = deployed.deploy()
    assert done.code != 0
    assert list(done.failed) == ["admission"]
    assert "test-second-1: its key is accepted, and it does not answer" in done.states["admission"]["comment"]
    assert "saltlick: minion started" in done.states["admission"]["comment"], "its last console lines"
    assert "services of tier 1" not in done.states
    assert not deployed.configured("test-first-1").exists()
    assert deployed.locks.read("test") is None


def test_a_minion_that_dies_under_way_is_missed(deployed):
    """Salt's own answer to a target that matches fewer minions than planned is success."""
    pids = " ".join(f"-{process.pid}" for process in deployed.minions["test-second-1"].processes)
    deployed.before("test-first-1", f"kill -9 {pids}")
    done = deployed.deploy()
    deployed.minions["test-second-1"].kill()
    assert done.code != 0
    assert list(done.failed) == ["services of tier 2"]
    assert "test-second-1" in json.dumps(done.states["services of tier 2"])


def test_a_server_that_is_not_done_in_time_fails_the_run_by_name(deployed):
    """It is alive and says so: only the deadline ends the wait. The next run takes its turn behind what still runs there."""
    deployed.pillar("test", environment("test", highstate_s=8))
    deployed.before("test-first-1", "sleep 16")
    done = deployed.deploy()
    assert list(done.failed) == ["services of tier 1"]
    said = done.states["services of tier 1"]["comment"]
    assert said.startswith("test-first-1: state.highstate: no answer in 8 s"), said
    assert "services of tier 2" not in done.states
    assert deployed.locks.read("test") is None
    deployed.pillar("test", environment("test"))
    deployed.before("test-first-1", "exit 0")
    assert deployed.deploy().code == 0


def test_what_fails_in_a_tier_stops_the_next(deployed):
    deployed.before("test-first-1", "exit 7")
    done = deployed.deploy()
    assert done.code != 0
    assert list(done.failed) == ["services of tier 1"]
    assert done.states["services of tier 1"]["comment"].startswith("test-first-1: 1 of 2 states failed: before: ")
    assert "services of tier 2" not in done.states
    assert not deployed.configured("test-second-1").exists()
    assert deployed.locks.read("test") is None


def test_a_second_run_is_refused_and_names_the_first_which_goes_when_interrupted(deployed):
    deployed.before("test-first-1", "sleep 60")
    first = deployed.start("state.orchestrate", "orch.deploy-environment", "pillarenv=test", "--out=json")
    holder = deployed.eventually(lambda: deployed.locks.read("test"), "the first run's lock")

    started = time.monotonic()
    second = deployed.deploy()
    assert second.code != 0
    assert list(second.failed) == ["lock"]
    assert f"process {holder.process.pid}" in second.states["lock"]["comment"]
    assert "deploy-environment" in second.states["lock"]["comment"]
    assert "network and servers" not in second.states
    assert time.monotonic() - started < 55, "it waited for the first"

    assert first.poll() is None, first.communicate()
    interrupt(first)
    assert deployed.locks.read("test") is None


def test_errors_of_runners_reach_the_exit_code_and_the_orchestration(master):
    assert master.run("environment.plan", "tset").code == 2
    (master.folder / "srv" / "asks.sls").write_text(
        "asks:\n  salt.runner:\n    - name: environment.plan\n    - arg: [tset]\n"
    )
    done = master.run("state.orchestrate", "asks", "--out=json")
    assert done.code != 0
    assert done.states["asks"]["result"] is False


def test_a_server_of_test_cannot_read_the_pillar_of_prod(deployed):
    """It may ask for any pillarenv; what it gets goes by its authenticated id alone."""
    minion = deployed.minions["test-first-1"]
    assert minion.call("pillar.items", "pillarenv=test").keys() == {"roles", "probe", "saltlick"}
    for asked in ("prod", "control", "base"):
        assert minion.call("pillar.items", f"pillarenv={asked}") == {}
