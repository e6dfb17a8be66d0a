"""Whatever a journal holds (killed runners, odd clocks, steps of servers nobody knows), it can be shown, and no time is lost."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from rich.console import Console
from support import release_samples as samples

from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerRecord, ServerStatus, StepRecord
from saltlick.release.report import history, lines, page, watch
from saltlick.release.report.timeline import axis, lanes


def anything(seed: int) -> ReleaseRecord:
    """A record that no rollout would write."""
    dice = random.Random(seed)
    servers = tuple(
        ServerRecord(
            name=f"s{number}",
            batch=dice.randint(0, 3),
            previous=dice.choice(["", samples.OLD, samples.NEW]),
            standing=dice.choice(list(ServerStatus)),
            detail=dice.choice(["", "one\ntwo"]),
        )
        for number in range(dice.choice([0, 1, 2, 5]))
    )
    return replace(
        samples.done(),
        ended=dice.choice([None, samples.START - 1, samples.START + 60, samples.START + 200]),
        result=dice.choice(list(Result)),
        rev=dice.choice(["", "v1", samples.NEW[:9]]),
        servers=servers,
        steps=tuple(a_step(dice, number, [server.name for server in servers]) for number in range(dice.randint(0, 15))),
        requests=tuple(
            (f"s{dice.randint(0, 5)}", samples.START + dice.randint(0, 120), dice.randint(0, 9))
            for _ in range(dice.choice([0, 40]))
        ),
    )


def a_step(dice: random.Random, number: int, servers: list[str]) -> StepRecord:
    started = samples.START + dice.uniform(-2, 100)
    ended = dice.choice([None, started + dice.choice([0, 0.01, 5, 50])])
    return StepRecord(
        number=number,
        phase=dice.choice(list(Phase)),
        name=dice.choice(["", "drain", "migrate"]),
        server=dice.choice(["", "nobody", *servers]),
        batch=dice.randint(0, 4),
        undo=dice.random() < 0.3,
        started=started,
        ended=ended,
        ok=None if ended is None else dice.random() < 0.8,
        detail=dice.choice(["", "one", "one\ntwo"]),
    )


@pytest.mark.parametrize("seed", range(15))
def test_anything_can_be_shown(seed):
    record = anything(seed)
    for make in (page.html, lines.summary, lines.plan, history.show, history.show_data):
        assert make(record)
    assert history.table([record])
    assert len(watch.new_lines(record)[0]) == len(record.steps)
    Console(file=io.StringIO(), width=80).print(watch.frame(record, samples.START + 90))


@pytest.mark.parametrize("seed", range(15))
def test_no_time_is_lost_and_the_axis_goes_forward(seed):
    record = anything(seed)
    found = lanes(record, samples.START + 90)
    for lane in found:
        assert all(before.end == after.start for before, after in pairwise(lane.spans))
    line = axis(record, found, samples.START + 90)
    places = [line.at(samples.START + half / 2) for half in range(-10, 500)]
    assert places == sorted(places)
    assert 0.0 <= places[0] <= places[-1] <= 100.0
