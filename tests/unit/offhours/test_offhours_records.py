"""What is remembered survives the process, and a row that cannot be read is an error."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from saltlick.errors import NotReady
from saltlick.jobs.store import Store
from saltlick.offhours import custodian
from saltlick.offhours.due import KeepOn
from saltlick.offhours.records import LastSwitch, OffHoursRecord, OffHoursRecords, made
from saltlick.offhours.schedule import OnOff

NOW = datetime(2026, 11, 27, 18, 5, tzinfo=timezone.utc)
LAST = LastSwitch(side=OnOff.OFF, at=NOW, ok=True, by="ann")
KEEP = KeepOn(until=NOW + timedelta(hours=3), since=NOW, by="ann", reason="demo")


def test_a_record_survives_the_file_and_others_are_not_touched(tmp_path):
    path = tmp_path / "saltlick.sqlite"
    records = OffHoursRecords(Store(path))
    assert records.read("test") == OffHoursRecord()
    whole = OffHoursRecord(done=NOW, keep=KEEP, last=replace(LAST, reason="x"), job="77")
    records.change("test", lambda _: whole)
    records.change("other", lambda record: replace(record, job="1"))
    assert OffHoursRecords(Store(path)).read("test") == whole
    assert records.read("other") == OffHoursRecord(job="1")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"done": "2026-11-27T18:05", "keep": null, "last": null, "job": ""}']
)
def test_a_row_that_cannot_be_read_is_not_taken_for_nothing(tmp_path, text):
    """Nothing remembered would mean to start again, and to forget who keeps the environment on."""
    store = Store(tmp_path / "saltlick.sqlite")
    records = OffHoursRecords(store)
    store.db.execute("INSERT INTO offhours VALUES (?, ?)", ("test", text))
    with pytest.raises(NotReady, match="repair or delete its row"):
        records.read("test")
    with pytest.raises(NotReady, match="repair or delete its row"):
        records.change("test", lambda record: record)


def test_what_was_made_is_never_forgotten_for_something_earlier():
    assert made(OffHoursRecord(done=NOW), LAST, NOW - timedelta(hours=9)).done == NOW
    assert made(OffHoursRecord(done=NOW), LAST, NOW + timedelta(hours=9)).done == NOW + timedelta(hours=9)


def test_a_keep_that_is_over_is_forgotten_with_the_change_that_followed_it():
    later = replace(LAST, at=KEEP.until + timedelta(minutes=5))
    assert made(OffHoursRecord(keep=KEEP), LAST, NOW).keep == KEEP
    assert made(OffHoursRecord(keep=KEEP), later, KEEP.until).keep is None


def test_where_custodian_is(tmp_path, monkeypatch):
    mine = tmp_path / "custodian"
    with pytest.raises(NotReady, match=f"{mine} is not there; nothing was touched"):
        custodian.find(str(mine))
    mine.write_text("#!/bin/sh\n")
    with pytest.raises(NotReady):
        custodian.find(str(mine))
    mine.chmod(0o755)
    assert custodian.find(str(mine)) == mine
    monkeypatch.setenv("PATH", str(tmp_path))
    assert custodian.find(beside=tmp_path / "nowhere") == mine
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotReady, match="`saltlick custodian` installs it"):
        custodian.find(beside=tmp_path / "nowhere")
