"""A deployment waits for minions that its highstate restarts: none is called well that has not come back."""

from __future__ import annotations

import pytest
from support.clock import FakeClock
from support.fleet import FakeFleet

from saltlick.commands.environment.minion_restart import PENDING, RESTART_STATE, restarting, wait_until_back
from saltlick.fleet.ports import Reply

NO_ANSWER = Reply(False, error="file.file_exists: no answer in 15 s", silent=True)


def answering(*looks: Reply):
    """A fleet whose looks come out as these, the last one for ever."""
    left = list(looks)
    return FakeFleet(file__file_exists=lambda server, call: left.pop(0) if len(left) > 1 else left[0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"cmd_|-r": {"__id__": RESTART_STATE, "changes": {"pid": 1}}}, ("a",)),
        ({"cmd_|-r": {"__id__": RESTART_STATE, "changes": {}}}, ()),
        ({"cmd_|-r": {"__id__": "other", "changes": {"pid": 1}}}, ()),
        (["does not compile"], ()),
        (None, ()),
    ],
)
def test_only_a_restart_that_was_asked_for_counts(value, expected):
    assert restarting({"a": Reply(True, value)}) == expected


def test_waits_through_looks_that_the_restart_swallows():
    clock, fleet = FakeClock(), answering(Reply(True, True), NO_ANSWER, Reply(True, True), Reply(True, False))
    assert wait_until_back(("a",), fleet, clock) == {}
    assert fleet.asked == [("a", str(PENDING))] * 4
    assert clock.now() > 0


def test_nothing_is_asked_where_nothing_restarts():
    assert wait_until_back((), FakeFleet(), FakeClock()) == {}


def test_a_minion_that_stays_away_is_named():
    clock = FakeClock()
    lost = wait_until_back(("a",), answering(Reply(True, True), NO_ANSWER), clock, deadline_s=60)
    assert lost == {"a": "its minion has not come back from its restart: file.file_exists: no answer in 15 s"}
    assert clock.now() >= 60


def test_a_minion_that_answers_and_has_jobs_left_is_well():
    assert wait_until_back(("a",), answering(Reply(True, True)), FakeClock(), deadline_s=60) == {}
