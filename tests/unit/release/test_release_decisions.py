"""What is pure: batches, decisions, values of steps, detached jobs."""

from __future__ import annotations

from typing import Any

import pytest
from support.clock import FakeClock
from support.fleet import FakeFleet

from saltlick.fleet.detached import run_detached
from saltlick.fleet.judge import judged
from saltlick.fleet.ports import Call, Reply
from saltlick.fleet.step import Step
from saltlick.release.context import ReleaseServer
from saltlick.release.pillar.amounts import amount
from saltlick.release.planning.batches import BatchRule, following, ordered, planned, within_floor
from saltlick.release.steps.failure_budget import FailureVerdict, decide


def rule(total, *sizes, floor=None, **more):
    return BatchRule(
        total=total, sizes=tuple(map(amount, sizes)), floor=None if floor is None else amount(floor), **more
    )


def cut(total, *sizes, floor=None, zones=1, out=(), **more):
    servers = [ReleaseServer(str(n), "abc"[n % zones]) for n in range(total)]
    inside = {server.name for server in servers} - set(out)
    return [
        "".join(s.name for s in batch) for batch in planned(servers, inside, rule(total, *sizes, floor=floor, **more))
    ]


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        (cut(5, 2), ["01", "23", "4"]),
        (cut(5, "25%"), ["0", "1", "2", "3", "4"]),
        (cut(8, 1, "25%", "100%"), ["0", "12", "34567"]),
        (cut(2, "100%"), ["0", "1"]),
        (cut(1, "100%"), ["0"]),
        (cut(1, 1, floor=1), []),
        (cut(4, "100%", floor="51%"), ["0", "1", "2", "3"]),
        (cut(4, "100%", floor=0), ["0123"]),
        (cut(6, 2, zones=2), ["02", "4", "13", "5"]),
        (cut(6, 4, zones=2, by_zone=False), ["0123", "45"]),
        (cut(6, 2, zones=2, first="3"), ["31", "5", "02", "4"]),
        (cut(4, "100%", floor=3, out=["0", "1"]), ["01", "2", "3"]),
        (cut(3, 1, floor=3), []),
    ],
)
def test_batches(batches, expected):
    assert batches == expected


def test_who_is_out_already_costs_nothing():
    assert within_floor("abcd", {"c", "d"}, 1) == ("a", "b", "c")
    assert within_floor("cd", {"c"}, 1) == ()
    assert ordered([], rule(1, 1)) == ()
    assert following([], 1, set(), rule(1, 1)) == ()


@pytest.mark.parametrize(
    ("failed", "left_out", "budget", "abort", "verdict"),
    [
        ({}, 0, 0, "", FailureVerdict.GO_ON),
        ({"a": "x"}, 0, 0, "", FailureVerdict.UNDO),
        ({"a": "x"}, 0, 1, "", FailureVerdict.LEAVE_OUT),
        ({"a": "x"}, 1, 1, "", FailureVerdict.UNDO),
        ({"a": "x", "b": "y"}, 0, 1, "", FailureVerdict.UNDO),
        ({}, 3, 1, "", FailureVerdict.GO_ON),
        ({}, 0, 9, "abort by bob", FailureVerdict.UNDO),
    ],
)
def test_decisions(failed, left_out, budget, abort, verdict):
    assert decide(failed, left_out=left_out, max_failures=budget, abort=abort).verdict is verdict


@pytest.mark.parametrize(
    ("value", "expect", "said"),
    [
        (None, None, ""),
        (True, None, ""),
        (0, None, ""),
        (False, None, "it returned False"),
        ({"result": False}, None, "it returned {'result': False}"),
        ({"retcode": 0, "stdout": "x"}, None, ""),
        ({"retcode": 3, "stdout": "a\nb", "stderr": ""}, None, "exit code 3: b"),
        ({"retcode": 0, "stdout": "ready\n", "stderr": ""}, "^ready$", ""),
        ("not yet", "ready", "'ready' is not in what it returned: not yet"),
    ],
)
def test_values(value, expect, said):
    step = Step.model_validate({"call": "test.echo", "expect": expect} if expect else "test.echo")
    reply = judged(Reply(True, value), step)
    assert (reply.ok, reply.error) == (not said, said)


class Jobs(FakeFleet):
    """A server with one job, whose states are given; the last one for ever."""

    def __init__(self, *states: Any) -> None:
        super().__init__(detached__start={})
        self.states = list(states)

    def answer(self, server: str, call: Call) -> Any:
        if call.function in self.answers:
            return super().answer(server, call)
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


RUNNING, SILENT = {"state": "running"}, Reply(False, error="no answer", silent=True)


@pytest.mark.parametrize(
    ("states", "ok", "said"),
    [
        ([RUNNING, RUNNING, {"state": "done", "value": 7}], True, ""),
        ([RUNNING, SILENT, SILENT, RUNNING, {"state": "done"}], True, ""),
        ([RUNNING, SILENT], False, "no answer"),
        (
            [RUNNING, {"state": "failed", "error": "exit code 2", "output_tail": "a\nb\n"}],
            False,
            "exit code 2; last output: b",
        ),
        ([{"state": "lost", "error": ""}], False, "the job is lost"),
        ([RUNNING], False, "the job is running"),
        ([Reply(False, error="no such function")], False, "no such function"),
    ],
)
def test_detached_jobs(states, ok, said):
    clock = FakeClock()
    reply = run_detached(Jobs(*states), clock, {"one": Call("cmd.run_all")}, job="id/1", deadline_s=600)["one"]
    assert (reply.ok, reply.error) == (ok, said)
    assert clock.now() < 700
