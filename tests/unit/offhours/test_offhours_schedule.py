"""Which state is due at an instant, through summer time, holidays and outages; what a person's wish does to it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from support.offhours_world import hours

from saltlick.errors import InvalidInput
from saltlick.offhours.due import KeepOn, due
from saltlick.offhours.schedule import OnOff, following, last
from saltlick.offhours.until import instant

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("now", "side", "since", "then"),
    [
        ("2026-11-27 18:59", "on", "2026-11-27 07:00", "2026-11-27 19:00"),  # a Friday
        ("2026-11-27 19:00", "off", "2026-11-27 19:00", "2026-11-30 07:00"),
        ("2026-11-28 07:00", "off", "2026-11-27 19:00", "2026-11-30 07:00"),
        ("2026-11-29 23:59", "off", "2026-11-27 19:00", "2026-11-30 07:00"),
        ("2026-11-30 06:59", "off", "2026-11-27 19:00", "2026-11-30 07:00"),
        ("2026-11-30 07:00", "on", "2026-11-30 07:00", "2026-11-30 19:00"),
        ("2026-12-24 12:00", "off", "2026-12-23 19:00", "2027-01-04 07:00"),  # holidays, and a weekend
        ("2026-12-31 19:30", "off", "2026-12-23 19:00", "2027-01-04 07:00"),
    ],
)
def test_nights_weekends_and_holidays(now, side, since, then):
    plan = hours(skip_days=["2026-12-24..2027-01-01"])
    found = last(plan, at(now))
    assert (found.side.value, found.at) == (side, at(since))
    assert following(plan, at(now)).at == at(then)


def test_an_hour_that_summer_time_skips_happens_when_the_clock_jumps_over_it():
    plan = hours(off="Sun 02:00", on="Sun 06:00")
    jump = datetime(2026, 3, 29, 1, tzinfo=timezone.utc)  # 02:00 becomes 03:00
    assert last(plan, jump - timedelta(seconds=1)).side is OnOff.ON
    assert last(plan, jump).at == jump
    assert last(plan, jump).side is OnOff.OFF


def test_an_hour_that_comes_twice_happens_the_first_time():
    plan = hours(off="Sun 02:00", on="Sun 06:00")
    first = datetime(2026, 10, 25, 0, tzinfo=timezone.utc)  # 02:00 CEST; again an hour later, as CET
    assert last(plan, first).at == first
    assert last(plan, first + timedelta(hours=1, minutes=30)).at == first


def test_the_hour_is_the_zones_in_summer_and_in_winter():
    plan = hours()
    assert last(plan, at("2026-07-01 20:00")).at == datetime(2026, 7, 1, 17, tzinfo=timezone.utc)
    assert last(plan, at("2026-12-01 20:00")).at == datetime(2026, 12, 1, 18, tzinfo=timezone.utc)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "America/St_Johns", "UTC"])
def test_every_zone_has_one_state_at_every_instant(zone):
    plan = hours(timezone=zone, off="19:00", on="07:00")
    for number in range(0, 24 * 400, 5):
        now = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(hours=number)
        local = now.astimezone(ZoneInfo(zone))
        assert last(plan, now).side is (OnOff.ON if 7 <= local.hour < 19 else OnOff.OFF), local


def test_many_holidays_in_a_row_are_looked_past():
    plan = hours(skip_days=["2026-01-01..2026-12-31"])
    assert last(plan, at("2026-12-30 12:00")).at == at("2025-12-31 19:00")
    assert following(plan, at("2026-01-01 12:00")).at == at("2027-01-01 07:00")


# -- what is done once


def decided(now: str, done: str | None, keep: KeepOn | None = None):
    found = due(hours(), at(now), done=at(done) if done else None, keep=keep)
    return found.side.value if found.side else "", found.why


@pytest.mark.parametrize(
    ("now", "done", "side", "why"),
    [
        ("2026-11-27 19:00", "2026-11-27 07:00", "off", "due"),
        ("2026-11-27 19:59", "2026-11-27 07:00", "off", "due"),
        ("2026-11-27 20:00", "2026-11-27 07:00", "off", "caught up"),
        ("2026-11-27 22:00", "2026-11-27 19:00", "", "done"),  # whoever started it by hand keeps it
        ("2026-11-27 22:00", "2026-11-27 21:00", "", "done"),  # started by hand at nine
        ("2026-11-30 09:00", "2026-11-26 07:00", "on", "caught up"),  # an outage over four changes: the last one counts
        ("2026-11-28 12:00", "2026-11-26 07:00", "off", "caught up"),
        ("2026-11-28 12:00", None, "", "begins with the next hour of its schedule"),
        ("2026-11-30 07:20", None, "on", "due"),
    ],
)
def test_each_change_is_made_once_and_a_missed_one_is_caught_up(now, done, side, why):
    assert decided(now, done) == (side, why)


# -- kept on

KEEP = KeepOn(until=at("2026-11-27 22:00"), since=at("2026-11-27 17:00"), by="ann")


@pytest.mark.parametrize(
    ("now", "done", "side", "why"),
    [
        ("2026-11-27 18:00", "2026-11-27 07:00", "", "done"),
        ("2026-11-27 19:05", "2026-11-27 07:00", "", "kept on"),
        ("2026-11-27 21:59", "2026-11-27 07:00", "", "kept on"),
        ("2026-11-27 22:00", "2026-11-27 07:00", "off", "due"),
        ("2026-11-28 09:00", "2026-11-27 07:00", "off", "caught up"),
        ("2026-11-27 22:05", "2026-11-27 19:00", "off", "due"),  # it was off, started by hand and kept on since
        ("2026-11-27 22:15", "2026-11-27 22:00", "", "done"),
        ("2026-11-30 07:05", "2026-11-27 22:00", "on", "due"),
        ("2026-11-28 09:00", None, "off", "caught up"),
    ],
)
def test_what_somebody_keeps_on_goes_off_by_itself(now, done, side, why):
    assert decided(now, done, KEEP) == (side, why)


def test_a_keep_that_ends_while_it_should_be_on_changes_nothing():
    keep = KeepOn(until=at("2026-11-30 10:00"), since=at("2026-11-27 17:00"))
    assert decided("2026-11-28 12:00", "2026-11-27 07:00", keep) == ("", "kept on")
    assert decided("2026-11-30 09:00", "2026-11-30 07:00", keep) == ("", "done")
    assert decided("2026-11-30 11:00", "2026-11-30 07:00", keep) == ("", "done")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("22:00", "2026-11-27 22:00"),
        ("7:30", "2026-11-28 07:30"),
        ("01:30", "2026-11-28 01:30"),
        ("17:30", "2026-11-28 17:30"),
        ("2026-11-28T09:00", "2026-11-28 09:00"),
        ("2026-11-28T09:00:00+00:00", "2026-11-28 10:00"),
        ("2026-11-28T09:00:00Z", "2026-11-28 10:00"),
    ],
)
def test_until_when(text, found):
    assert instant(text, hours(), at("2026-11-27 17:30")) == at(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tonight", "is not a time"),
        ("25:00", "is not a time"),
        ("22:75", "is not a time"),
        ("22", r"is not a time \(write it like 22:00 or 2026-11-27T22:00; in YAML in quotes\)"),
        ("7", "is not a time"),
        ("0730", "is not a time"),
        ("1030", "is not a time"),
        ("1320", "is not a time"),  # what YAML makes of an unquoted 22:00
        ("22:00:00", "is not a time"),
        ("24:00", "is not a time"),
        ("22.00", "is not a time"),
        ("22h", "is not a time"),
        ("10pm", "is not a time"),
        ("1e3", "is not a time"),
        ("-1:00", "is not a time"),
        ("\u0662\u0662:\u0660\u0660", "is not a time"),
        ("False", "is not a time"),
        ("Fri 22:00", "is not a time"),
        ("2026-11-29", "is not a time"),  # its begin, or its end?
        ("20261129", "is not a time"),
        ("9999-12-31T23:59-12:00", "is not a time"),
        ("2026-11-26T22:00", "is over: it is 2026-11-27 17:30 in Europe/Berlin"),
        ("2036-11-27T22:00", "more than 31 days away"),
    ],
)
def test_until_when_it_cannot_be(text, said):
    with pytest.raises(InvalidInput, match=said):
        instant(text, hours(), at("2026-11-27 17:30"))


@pytest.mark.parametrize(
    ("now", "text", "found"),
    [
        ("2027-03-28 00:30", "02:30", "2027-03-28 01:00"),  # the clock jumps over it at 02:00
        ("2027-03-28 01:10", "02:30", "2027-03-29 00:30"),
        ("2026-10-25 00:15", "02:30", "2026-10-25 00:30"),
        ("2026-10-25 00:45", "02:30", "2026-10-25 01:30"),  # for the second time
        ("2026-10-25 01:45", "02:30", "2026-10-26 01:30"),
        ("2026-10-25 00:45", "2026-10-25T02:30", "2026-10-25 01:30"),
    ],
)
def test_until_when_on_the_nights_on_which_the_clock_is_changed(now, text, found):
    assert instant(text, hours(), at(now, "UTC")) == at(found, "UTC")
