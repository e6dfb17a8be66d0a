"""Where servers are at each moment: no time is lost, and who is out of traffic shows as such until the balancer has it back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from support import release_samples as samples

from saltlick.release.journal.record import Phase, Result, ServerRecord, ServerStatus, StepRecord
from saltlick.release.report.timeline import State, axis, end_of, lanes, left_outside, ticks


@pytest.fixture(scope="module")
def records():
    return {name: make() for name, make in samples.SAMPLES.items()}


def states(record, name: str) -> list[str]:
    lane = next(lane for lane in lanes(record) if lane.server.name == name)
    return [f"{'undo ' if span.undo else ''}{span.state.value}" for span in lane.spans]


def record_of(*steps: StepRecord, standing: ServerStatus, result: Result = Result.DONE, ended: float | None = 100.0):
    return replace(
        samples.done(),
        started=0.0,
        ended=ended,
        result=result,
        servers=(ServerRecord(name="s", batch=1, previous=samples.OLD, standing=standing),),
        steps=steps,
        requests=(),
    )


def step(
    phase: Phase, started: float, ended: float | None, *, ok: bool | None = True, undo: bool = False
) -> StepRecord:
    ok = None if ended is None else ok
    return StepRecord(
        number=int(started), phase=phase, name="x", server="s", batch=1, started=started, ended=ended, ok=ok, undo=undo
    )


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_every_moment_of_every_server_is_accounted_for(records, name):
    record = records[name]
    for lane in lanes(record):
        assert lane.spans[0].start == record.started
        assert lane.spans[-1].end == pytest.approx(end_of(record))
        for before, after in pairwise(lane.spans):
            assert before.end == pytest.approx(after.start), lane.server.name


def test_walk_forward(records):
    assert states(records["done"], "prod-app-2") == ["old", "build", "old", "drain", "down", "health", "back", "new"]


def test_in_place_builds_while_down(records):
    assert states(records["in_place"], "prod-app-1") == ["old", "drain", "down", "health", "back", "new"]


def test_failed_server_is_down_until_the_way_back_has_restored_it(records):
    names = states(records["rolled_back"], "prod-app-3")
    assert names[names.index("drain") :] == [
        "drain",
        "down",
        "health",
        "undo down",
        "undo health",
        "undo back",
        "undo old",
    ]


def test_server_that_was_done_drains_again_on_the_way_back(records):
    names = states(records["rolled_back"], "prod-app-1")
    assert names[names.index("new") :] == ["new", "undo drain", "undo down", "undo health", "undo back", "undo old"]


def test_left_out_server_is_out_to_the_end(records):
    assert states(records["left_out"], "prod-app-3")[-2:] == ["down", "out"]
    assert left_outside(records["left_out"]) == ("prod-app-3",)


def test_stuck_server_is_never_taken_for_serving(records):
    assert left_outside(records["stuck"]) == ("prod-app-1",)
    assert states(records["stuck"], "prod-app-1")[-1] == "undo down"


def test_time_between_two_steps_belongs_to_what_the_first_left_behind():
    """A pause between health and restore is a pause out of traffic."""
    walk = (
        step(Phase.DRAIN, 10, 12),
        step(Phase.STOP, 20, 21),
        step(Phase.HEALTH, 30, 33),
        step(Phase.RESTORE, 50, 52),
    )
    lane = lanes(record_of(*walk, standing=ServerStatus.DONE))[0]
    assert [(span.state, span.start, span.end) for span in lane.spans] == [
        (State.OLD, 0, 10),
        (State.DRAIN, 10, 12),
        (State.DOWN, 12, 30),
        (State.HEALTH, 30, 33),
        (State.BACK, 33, 52),
        (State.NEW, 52, 100),
    ]
    assert lane.away_s == 40


def test_step_without_an_end_before_another_ends_where_that_begins():
    """The runner was killed in it, and the release was resumed."""
    walk = (
        step(Phase.DRAIN, 10, None),
        step(Phase.DRAIN, 30, 31),
        step(Phase.STOP, 31, 32),
        step(Phase.RESTORE, 40, 41),
    )
    lane = lanes(record_of(*walk, standing=ServerStatus.DONE))[0]
    assert [span.end for span in lane.spans if span.state is State.DRAIN] == [31]
    assert lane.spans[-1].end == 100


def test_failed_restore_is_no_return():
    walk = (step(Phase.DRAIN, 10, 12), step(Phase.RESTORE, 20, 30, ok=False))
    record = record_of(*walk, standing=ServerStatus.TOUCHED, result=Result.STUCK)
    assert left_outside(record) == ("s",)
    assert lanes(record)[0].away_s == 88


def test_of_a_running_release_only_those_left_out_are_outside(records):
    """The others are on their way."""
    assert left_outside(records["running"]) == ()
    assert lanes(records["running"], samples.START + 500)[2].spans[-1].end == samples.START + 500


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_axis_only_goes_forward_and_spans_the_walk(records, name):
    record = records[name]
    line = axis(record, lanes(record))
    moments = [line.start + (line.end - line.start) * share / 200 for share in range(201)]
    places = [line.at(moment) for moment in moments]
    assert places == sorted(places)
    assert places[0] == 0.0
    assert places[-1] == pytest.approx(100.0)
    assert [line.at(moment) for moment in (line.start - 99, line.end + 99)] == [0.0, 100.0]


def test_long_soak_is_folded_and_has_no_label(records):
    line = axis(records["growing"], lanes(records["growing"]))
    (begin, stop, left, right), *others = line.folds
    assert not others
    assert stop - begin > 590
    assert right - left < 5
    assert not [moment for moment in ticks(line) if begin < moment < stop]
    assert ticks(line)


def test_labels_are_round_and_apart(records):
    for record in records.values():
        line = axis(record, lanes(record))
        moments = ticks(line)
        assert len(moments) <= 6
        places = [line.at(moment) for moment in moments]
        assert all(after - before > 10 for before, after in pairwise(places))
        assert all(float(moment).is_integer() for moment in moments)


def test_many_servers_have_few_spans_each(records):
    many = records["many"]
    assert len(lanes(many)) == 200
    assert sum(len(lane.spans) for lane in lanes(many)) < 200 * 9
