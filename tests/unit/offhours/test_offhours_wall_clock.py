"""The schedule against a naive walk: minute by minute through a year, reading nothing but the clock on the wall."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.offhours_world import hours

from saltlick.offhours.pillar.times import Hour
from saltlick.offhours.schedule import following, last

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
YEARS = {
    "Europe/Berlin": 2027,
    "America/New_York": 2026,
    "Australia/Lord_Howe": 2026,  # half an hour
    "Africa/Casablanca": 2026,  # the other way round, at Ramadan
    "Asia/Kolkata": 2026,  # no summer time, and half an hour off
    "Pacific/Apia": 2011,  # the 30th of December was skipped
    "Antarctica/Troll": 2026,  # two hours
    "America/Havana": 2026,  # midnight is skipped, and repeated
}


@dataclass(frozen=True)
class Walk:
    """A year of a zone: when the clock first came to each whole hour, and the minutes at which it jumped."""

    reached: tuple[tuple[datetime, datetime], ...]
    """Instant and time on the wall, in order."""
    jumps: tuple[datetime, ...]
    longest_shift: timedelta


@cache
def walk(zone: str) -> Walk:
    tz, year = ZoneInfo(zone), YEARS[zone]
    instant, end = datetime(year - 1, 12, 15, tzinfo=timezone.utc), datetime(year + 1, 1, 15, tzinfo=timezone.utc)
    wall = highest = wall_clock(instant, tz)
    reached, jumps, shifts = [], [], [timedelta()]
    while instant < end:
        step = _step(instant, tz)
        instant += step
        before, wall = wall, wall_clock(instant, tz)
        if wall - before != step:
            jumps.append(instant)
            shifts.append(abs(wall - before - step))
        while (ahead := highest.replace(minute=0) + HOUR) <= wall:
            reached.append((instant, ahead))
            highest = ahead
    return Walk(tuple(reached), tuple(jumps), max(shifts))


def wall_clock(instant: datetime, tz: ZoneInfo) -> datetime:
    return instant.astimezone(tz).replace(tzinfo=None, fold=0)


def _step(instant: datetime, tz: ZoneInfo) -> timedelta:
    """A minute on a day on which the clock jumps. On any other day whatever leads to the next whole hour: it is quicker."""
    wall = wall_clock(instant, tz)
    if wall_clock(instant + DAY, tz) - wall != DAY or wall - wall_clock(instant - DAY, tz) != DAY:
        return MINUTE
    return wall.replace(minute=0) + HOUR - wall


def switches(zone: str, off: Hour, on: Hour, skipped: frozenset[date]) -> list[tuple[datetime, str]]:
    """What somebody does who looks at the clock each minute: for each hour that it came to or jumped over, in its order."""
    walked: list[tuple[datetime, str]] = []
    for instant, wall in walk(zone).reached:
        for side, hour in (("off", off), ("on", on)):
            if wall.hour == hour.hour and wall.weekday() in hour.days and wall.date() not in skipped:
                walked.append((instant, side))
    return walked


def states(walked: list[tuple[datetime, str]]) -> list[tuple[datetime, str]]:
    """Since when it is in which state: of two switches at one instant, the last one stays."""
    at_instants = dict(walked)
    return list(at_instants.items())


def instants(zone: str, expected: list[tuple[datetime, str]]) -> Iterator[datetime]:
    """Around each switch of the year, and every five minutes around each jump."""
    begin, end = year(zone)
    for instant, _ in expected:
        if begin < instant < end:
            yield from (instant - timedelta(seconds=1), instant)
    for jump in walk(zone).jumps:
        yield from (jump + MINUTE * number for number in range(-150, 150, 5))


def year(zone: str) -> tuple[datetime, datetime]:
    return datetime(YEARS[zone], 1, 1, tzinfo=timezone.utc), datetime(YEARS[zone] + 1, 1, 1, tzinfo=timezone.utc)


DAYS = st.frozensets(st.integers(0, 6), min_size=1)
HOURS = st.builds(Hour, days=DAYS, hour=st.integers(0, 23))
SKIPPED = st.frozensets(st.integers(0, 364), max_size=12)
"""Days of the year."""


@pytest.mark.parametrize("zone", YEARS)
@settings(max_examples=6, deadline=None, derandomize=True, database=None)
@given(off=HOURS, on=HOURS, skipped=SKIPPED)
def test_the_state_is_that_of_a_walk_along_the_wall_clock(zone, off, on, skipped):
    assume(off.hour != on.hour or not off.days & on.days)
    holidays = frozenset(date(YEARS[zone], 1, 1) + DAY * number for number in skipped)
    plan = hours(timezone=zone, off=off, on=on, skip_days=[str(day) for day in sorted(holidays)])
    expected = states(switches(zone, off, on, holidays))
    times = [instant for instant, _ in expected]
    for now in instants(zone, expected):
        number = bisect.bisect_right(times, now) - 1
        assume(number >= 0)
        change = last(plan, now)
        assert (change.at, change.side.value) == expected[number], now
        then = next(((at, side) for at, side in expected[number + 1 :] if side != expected[number][1]), None)
        if then and any(abs(jump - now) < 3 * DAY for jump in walk(zone).jumps):
            coming = following(plan, now)
            assert (coming.at, coming.side.value) == then, now


@pytest.mark.parametrize("zone", YEARS)
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(off=st.integers(0, 23), on=st.integers(0, 23))
def test_it_is_never_off_for_longer_than_the_pillar_says_and_the_shift(zone, off, on):
    """Twice as long where all the time for which it would be on is jumped over: then one night follows the other."""
    assume(off != on)
    plan, shift = hours(timezone=zone, off=f"{off}:00", on=f"{on}:00"), walk(zone).longest_shift
    nights = 2 if HOUR * ((off - on) % 24) <= shift else 1
    for jump in walk(zone).jumps or year(zone)[:1]:
        now, end = jump - 3 * DAY, jump + 3 * DAY
        while now < end:
            change = following(plan, now)
            if change.side.value == "on":
                assert change.at - last(plan, now).at <= nights * HOUR * ((on - off) % 24) + shift, now
            now = change.at


@pytest.mark.parametrize(
    ("zone", "off", "on", "now", "side"),
    [
        ("Europe/Berlin", "02:00", "03:00", "2027-03-28 05:00", "on"),
        ("Europe/Berlin", "03:00", "02:00", "2027-03-28 05:00", "off"),
        ("America/New_York", "02:00", "03:00", "2026-03-08 12:00", "on"),
        ("Antarctica/Troll", "01:00", "02:00", "2026-03-29 02:00", "on"),
        ("Antarctica/Troll", "02:00", "03:00", "2026-03-29 02:00", "on"),
        ("Pacific/Apia", "07:00", "19:00", "2011-12-30 10:30", "on"),
        ("Europe/Berlin", "02:00", "03:00", "2026-10-25 01:30", "off"),  # 02:30 for the second time
        ("Europe/Berlin", "02:00", "03:00", "2026-10-25 02:00", "on"),
    ],
)
def test_where_off_and_on_meet_the_later_on_the_clock_wins(zone, off, on, now, side):
    instant = datetime.fromisoformat(now).replace(tzinfo=timezone.utc)
    assert last(hours(timezone=zone, off=off, on=on), instant).side.value == side


def test_the_same_weekday_may_be_skipped_for_a_year():
    """Each change has one day of the week, and every one of these days is a holiday."""
    sundays = [str(date(2026, 1, 4) + timedelta(days=7 * number)) for number in range(52)]
    plan = hours(off="Sun 08:00", on="Sun 20:00", skip_days=sundays)
    now = datetime(2026, 12, 28, 12, tzinfo=timezone.utc)
    assert last(plan, now).at == datetime(2025, 12, 28, 19, tzinfo=timezone.utc)
    assert following(plan, datetime(2026, 1, 2, tzinfo=timezone.utc)).at == datetime(2027, 1, 3, 7, tzinfo=timezone.utc)
