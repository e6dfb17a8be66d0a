"""States of whole environments in a real `salt-run state.orchestrate`, and what becomes of the lock however it ends."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from saltlick.jobs.holder import Mode
from saltlick.jobs.lock import Locks

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)

LOCK = """
lock:
  environment.locked:
    - name: {{ opts.pillarenv }}
    - reason: deploy
    - failhard: True
"""
DEPLOY = (
    LOCK
    + """
environment:
  environment.present:
    - name: {{ opts.pillarenv }}
    - failhard: True

unlock:
  environment.unlocked:
    - name: {{ opts.pillarenv }}
"""
)
FAILS = (
    LOCK
    + "\nmidway:\n  test.fail_without_changes:\n    - failhard: True\n\nnever:\n  environment.unlocked:\n    - name: one\n"
)
SLEEPS = LOCK + "\nmidway:\n  module.run:\n    - test.sleep:\n      - length: 120\n"


def folder(master) -> Path:
    return master.folder / "var/cache/salt/master/saltlick/locks"


def locks_of(master) -> Locks:
    return Locks(folder=folder(master), user="bob")


def orchestrate(master, sls: str, *more: str) -> tuple[int, dict[str, Any]]:
    """An orchestration by a real `salt-run`: its exit code and its states by id."""
    run = master.run("state.orchestrate", sls, "--out=json", *more)
    assert run.stdout.startswith("{"), run
    return run.code, _by_id(run.json)


def quickly(master, sls: str, *more: str) -> tuple[int, dict[str, Any]]:
    """The same in this process, for where it makes no difference."""
    answer = master.call("state.orchestrate", sls, *more)["return"]
    return answer["retcode"], _by_id(answer)


def _by_id(answer: dict[str, Any]) -> dict[str, Any]:
    [states] = answer["data"].values()
    assert isinstance(states, dict), states
    return {state["__id__"]: state for state in states.values()}


def audit(master) -> list[str]:
    return [json.loads(line)["action"] for line in (folder(master) / "audit.jsonl").read_text().splitlines()]


def test_deploy_twice_then_away(master):
    """test=True is the plan, the first run builds, the second says of every resource that nothing changed."""
    master.sls("deploy", DEPLOY)
    code, states = quickly(master, "deploy", "pillarenv=one", "test=True")
    assert code == 0
    assert states["environment"]["result"] is None
    assert states["environment"]["changes"]["one:vpc/main"]["action"] == "create"

    code, states = orchestrate(master, "deploy", "pillarenv=one")
    assert code == 0, states
    built = states["environment"]["changes"]
    assert built["one:vpc/main"]["id"].startswith("vpc-")
    assert locks_of(master).read("one") is None
    assert audit(master) == ["taken", "released"], "the state joined the orchestration's lock"

    code, states = quickly(master, "deploy", "pillarenv=one")
    assert code == 0
    assert states["environment"]["changes"] == {}
    for address in built:
        assert f"{address}  {built[address]['id']}  unchanged" in states["environment"]["comment"]

    master.sls("away", "one:\n  environment.absent:\n    - confirm: one\n")
    code, states = quickly(master, "away", "pillarenv=one", "test=True")
    assert states["one"]["result"] is None
    assert states["one"]["changes"].keys() == built.keys()
    code, states = quickly(master, "away", "pillarenv=one")
    assert code == 0, states
    assert states["one"]["changes"].keys() == built.keys()
    code, states = quickly(master, "away", "pillarenv=one")
    assert (code, states["one"]["changes"]) == (0, {})


def test_a_mistyped_pillarenv_fails_with_the_known_names(master):
    master.sls("deploy", DEPLOY)
    code, states = quickly(master, "deploy", "pillarenv=onee")
    assert code != 0
    assert "onee" in states["lock"]["comment"]
    assert "pillar_roots has one, two" in states["lock"]["comment"]
    assert "environment" not in states or states["environment"]["result"] is False


def test_without_pillarenv_nothing_is_done(master):
    master.sls("deploy", DEPLOY)
    code, states = quickly(master, "deploy")
    assert code != 0
    assert "name an environment" in states["lock"]["comment"]


def test_a_run_cannot_change_another_environment_than_its_pillarenv(master):
    master.sls("deploy", "two:\n  environment.present: []\n")
    code, states = quickly(master, "deploy", "pillarenv=one")
    assert code != 0
    assert "pillarenv=one" in states["two"]["comment"]


def test_a_pillar_under_another_name_is_refused(master):
    master.pillar("three", (master.folder / "pillar/one/environment.sls").read_text())
    master.sls("deploy", DEPLOY)
    code, states = orchestrate(master, "deploy", "pillarenv=three")
    assert code != 0
    assert "one is not three" in states["environment"]["comment"]
    assert locks_of(master).read("three") is None


def test_a_run_that_fails_midway_leaves_no_lock(master):
    master.sls("fails", FAILS)
    code, states = orchestrate(master, "fails", "pillarenv=one")
    assert code != 0
    assert states["lock"]["result"] is True
    assert audit(master) == ["taken", "released"]
    assert locks_of(master).read("one") is None


def test_a_second_run_is_refused_while_the_first_has_the_lock(master):
    locks_of(master).take("one", reason="release", mode=Mode.MANUAL)
    master.sls("deploy", DEPLOY)
    code, states = quickly(master, "deploy", "pillarenv=one")
    assert code != 0
    assert "bob" in states["lock"]["comment"]
    assert "environment" not in states or not states["environment"]["changes"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_lock(master, end):
    run = sleeping(master)
    run.send_signal(end)
    run.communicate(timeout=60)
    assert locks_of(master).read("one") is None
    assert audit(master) == ["taken", "released"]


def test_killed_it_leaves_a_stale_lock_that_the_next_run_says_and_takes_over(master):
    run = sleeping(master)
    run.kill()
    run.communicate(timeout=60)
    left = locks_of(master).read("one")
    assert left
    assert locks_of(master).stale(left)
    assert "stale" in master.run("environment.locked", "one").stdout
    master.sls("deploy", LOCK)
    code, states = orchestrate(master, "deploy", "pillarenv=one")
    assert code == 0
    assert "took over a stale lock" in states["lock"]["comment"]
    assert audit(master) == ["taken", "taken over", "released"]


def sleeping(master) -> subprocess.Popen[str]:
    """An orchestration that has the lock and sleeps."""
    master.sls("sleeps", SLEEPS)
    run = master.start("state.orchestrate", "sleeps", "pillarenv=one")
    deadline = time.monotonic() + 240
    while locks_of(master).read("one") is None:
        assert time.monotonic() < deadline, "it never took the lock"
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    time.sleep(0.5)  # into the sleeping state
    return run
