"""Jobs that change nothing share an environment with each other, and keep out those that change it."""

from __future__ import annotations

import pytest
from support.clock import FakeClock

from saltlick.errors import Locked
from saltlick.jobs.holder import Mode


def share(desk, **how):
    return desk.take("prod", reason=how.pop("reason", "backup database"), mode=Mode.SHARED, **how)


def test_two_backups_at_once_and_nothing_that_changes_until_both_are_done(desk):
    first, second = share(desk("ann")), share(desk("bob", pid=200), reason="backup content")
    with pytest.raises(Locked) as refused:
        desk("cid", pid=200).take("prod", reason="release")
    assert "backup database" in str(refused.value)
    assert "backup content" in str(refused.value)
    assert str(refused.value).endswith("They are at work: wait for them (lock_wait=600), or ask bob, ann")
    desk("ann").release(first)
    with pytest.raises(Locked):
        desk("cid", pid=200).take("prod", reason="release")
    desk("bob", pid=200).release(second)
    desk("cid", pid=200).take("prod", reason="release")


def test_a_backup_waits_for_a_release_and_not_longer_than_it_was_told(desk):
    clock = FakeClock()
    release = desk("ann").take("prod", reason="release")
    clock.meanwhile.append(lambda now: desk("ann").release(release) if now >= 5 else None)
    with pytest.raises(Locked, match="release"):
        share(desk("bob", pid=200, clock=FakeClock()), wait_s=3)
    share(desk("bob", pid=200, clock=clock), wait_s=60)
    assert clock.time_s == 5


def test_a_release_waits_for_a_backup(desk):
    clock = FakeClock()
    backup = share(desk("ann"))
    clock.meanwhile.append(lambda now: desk("ann").release(backup) if now >= 5 else None)
    desk("bob", pid=200, clock=clock).take("prod", reason="release", wait_s=60)
    assert clock.time_s == 5


def test_a_persons_lock_is_against_changes_only(desk):
    desk("ann").take("prod", reason="Friday", mode=Mode.MANUAL)
    assert "beside a lock that forbids changes only" in share(desk("bob", pid=200)).notice


def test_a_person_need_not_wait_for_backups(desk):
    share(desk("ann"))
    assert desk("bob", pid=200).take("prod", reason="Friday", mode=Mode.MANUAL).holder.user == "bob"


def test_a_killed_release_does_not_stop_the_nights_backup_and_is_still_told(desk, machine):
    desk("ann", pid=200).take("prod", reason="release")
    del machine.running[200]
    share(desk("bob"))
    assert desk("cid").read("prod").reason == "release"


def test_a_killed_backup_stops_nobody(desk, machine):
    share(desk("ann", pid=200))
    del machine.running[200]
    desk("bob").take("prod", reason="release")
    assert desk("bob").sharing("prod") == ()


def test_a_backup_in_an_orchestration_that_has_the_lock_joins_it(desk):
    desk("ann").take("prod", reason="refresh", mode=Mode.RUN)
    assert share(desk("ann")).joined


def test_a_backup_that_hangs_can_be_sent_away(desk):
    share(desk("ann"))
    assert desk("bob", pid=200).unlock("prod") is None
    assert desk("bob", pid=200).unlock("prod", force=True).reason == "backup database"
    desk("bob", pid=200).take("prod", reason="release")
