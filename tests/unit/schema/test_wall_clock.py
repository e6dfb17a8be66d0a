"""What a zone's clock shows, and when: through the hours that summer time skips and repeats, and as people write it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from saltlick.schema.wall_clock import first_instant, moment, next_instant, shown_at

UTC = timezone.utc


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        ("Europe/Berlin", "2027-03-28 02:00", "2027-03-28 01:00"),
        ("Europe/Berlin", "2027-03-28 02:59", "2027-03-28 01:00"),
        ("Europe/Berlin", "2027-03-28 03:00", "2027-03-28 01:00"),
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30"),  # half an hour is skipped
        ("Antarctica/Troll", "2026-03-29 02:00", "2026-03-29 01:00"),  # two hours are skipped
        ("Pacific/Apia", "2011-12-30 17:00", "2011-12-30 10:00"),  # a whole day is skipped
        ("America/Sao_Paulo", "2018-11-04 00:00", "2018-11-04 03:00"),  # midnight is skipped
        ("Asia/Kolkata", "2026-03-29 02:30", "2026-03-28 21:00"),
    ],
)
def test_a_time_happens_when_it_is_shown_first_or_jumped_over(zone, local, instant):
    expected = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert first_instant(datetime.fromisoformat(local), ZoneInfo(zone)) == expected
    earlier = expected - timedelta(seconds=1)
    assert shown_at(earlier, ZoneInfo(zone)) < datetime.fromisoformat(local) <= shown_at(expected, ZoneInfo(zone))


def test_the_next_time_may_be_the_second_of_two():
    berlin, local = ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, 2, 30)
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert next_instant(local, berlin, first - timedelta(minutes=1)) == first
    assert next_instant(local, berlin, first) == second
    assert next_instant(local, berlin, second) is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-28T09:00", "2026-11-28T08:00"),
        ("2026-11-28 09:00:30", "2026-11-28T08:00:30"),
        ("2026-11-28T09:00:30.25", "2026-11-28T08:00:30.250"),
        ("2026-11-28T09:00Z", "2026-11-28T09:00"),
        ("2026-11-28t09:00z", "2026-11-28T09:00"),
        ("2026-11-28 09:00:00+00", "2026-11-28T09:00"),
        ("2026-11-28T09:00+05:30", "2026-11-28T03:30"),
        ("2026-11-28T09:00-0330", "2026-11-28T12:30"),
        ("2027-03-28T02:30", "2027-03-28T01:00"),  # jumped over
    ],
)
def test_a_moment_in_iso_8601(text, instant):
    assert moment(text, ZoneInfo("Europe/Berlin")) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22",
        "0730",
        "1030",
        "1320",
        "1e3",
        "nan",
        "2026-11-28",
        "20261128",
        "20261128T0900",
        "2026-W48-6",
        "2026-W48-6T09:00",
        "2026-11-28T09",
        "2026-11-28T9:00",
        "2026-11-28T24:00",
        "2026-11-28T09:60",
        "2026-02-30T09:00",
        "2026-11-28T09:00+99:00",
        "2026-11-28T09:00+02:75",
        "2026-11-28T09:00 CET",
        "9999-12-31T23:59-05:00",
        "0001-01-01T00:00",
        "\u0662\u0660\u0662\u0666-11-28T09:00",
        "2026-11-28T09:00\n",
    ],
)
def test_anything_else_is_no_moment(text):
    assert moment(text, ZoneInfo("Europe/Berlin")) is None
