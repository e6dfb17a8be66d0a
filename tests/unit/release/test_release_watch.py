"""The live screen: frames are values of record and time; without a terminal there are lines, each once."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from support import release_samples as samples

from saltlick.release.journal.record import ServerStatus
from saltlick.release.report import watch


def shown(record, now: float, height: int = 24, width: int = 110) -> str:
    screen = io.StringIO()
    Console(file=screen, width=width, color_system=None).print(watch.frame(record, now, height=height))
    return screen.getvalue()


def line_of(screen: str, name: str) -> str:
    return next(line for line in screen.splitlines() if line.startswith(name))


def test_frame_has_a_bar_for_each_server_with_step_and_time():
    screen = shown(samples.running(), samples.START + 70)
    assert "batch 2/3" in screen
    assert "2 of 6 servers" in screen
    full = sum(watch.CELLS.values())
    assert line_of(screen, "prod-app-1").count(watch.FULL) == full
    assert 0 < line_of(screen, "prod-app-3").count(watch.FULL) < line_of(screen, "prod-app-4").count(watch.FULL) < full
    assert line_of(screen, "prod-app-5").count(watch.EMPTY) == full
    assert "out of traffic" in line_of(screen, "prod-app-3")
    assert "start " in line_of(screen, "prod-app-3")


def test_time_of_a_step_goes_on():
    record = samples.running()
    assert "start 3.1 s" in line_of(shown(record, samples.START + 70), "prod-app-3")
    assert "start 13 s" in line_of(shown(record, samples.START + 80), "prod-app-3")


def test_of_many_servers_the_failed_and_those_under_way_are_shown():
    record = samples.SAMPLES["many"]()
    touched = tuple(
        replace(server, standing=ServerStatus.TOUCHED) if server.name == "prod-app-150" else server
        for server in record.servers
    )
    screen = shown(replace(record, servers=touched), samples.START + 70)
    assert line_of(screen, "prod-app-77")
    assert line_of(screen, "prod-app-150")
    assert "and 185 done" in screen
    assert sum(line.startswith("prod-app-") for line in screen.splitlines()) == 15


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_frames_of_everything_fit_the_width(name):
    record = samples.SAMPLES[name]()
    for width in (60, 110):
        assert all(len(line) <= width for line in shown(record, samples.START + 70, width=width).splitlines())


def test_end_says_what_to_do():
    screen = shown(samples.stuck(), samples.START + 500, width=200)
    assert "OUT OF TRAFFIC" in line_of(screen, "prod-app-1")
    assert "salt-run release.resume prod" in screen


def test_lines_come_once_and_a_step_that_goes_on_has_two():
    record = samples.running()
    begun = tuple(replace(step, ended=None, ok=None) if step.number == 2 else step for step in record.steps)
    first, seen = watch.new_lines(replace(record, steps=begun))
    assert len(first) == len(record.steps)
    again, seen = watch.new_lines(record, seen)
    assert len(again) == 1
    assert "build" in again[0]
    assert "ok" in again[0]
    assert watch.new_lines(record, seen)[0] == []
