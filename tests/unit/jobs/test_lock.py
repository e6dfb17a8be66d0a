"""One lock per environment: who gets it, who is refused and told what, and what happens to a dead holder's lock."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.clock import FakeClock

from saltlick.errors import InvalidInput, Locked
from saltlick.jobs.holder import Mode
from saltlick.jobs.lock import Locks
from saltlick.jobs.processes import Processes


def audit(desk: Locks) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (desk.folder / "audit.jsonl").read_text().splitlines()]


def test_the_second_taker_is_told_who_when_what_and_how_to_go_on(desk):
    desk("ann").take("prod", reason="deploy", job="2026112212")
    with pytest.raises(Locked) as refused:
        desk("bob", pid=200).take("prod", reason="release")
    text = str(refused.value)
    for part in (
        "prod is locked by ann",
        "2026-11-22T12:03:11Z",
        "job 2026112212",
        "deploy",
        "process 100",
        "on master",
    ):
        assert part in text
    assert text.endswith("It is at work: wait for it (lock_wait=600), or ask ann")
    with pytest.raises(Locked, match=r"would go on without the lock: .salt-run environment\.unlock prod force=True."):
        desk("bob").unlock("prod")


def test_environments_do_not_exclude_each_other(desk):
    desk().take("prod", reason="deploy")
    desk("bob", pid=200).take("test", reason="deploy")


def test_released_at_the_end_whatever_ends_it(desk):
    for end in (KeyboardInterrupt, SystemExit, ValueError):
        with pytest.raises(end), desk().held(["prod", "control"], reason="deploy"):  # noqa: PT012
            assert desk().read("prod")
            raise end
        assert desk().read("prod") is None
        assert desk().read("control") is None


def test_several_are_all_given_back_when_one_is_refused(desk):
    desk("bob", pid=200).take("prod", reason="backup")
    with pytest.raises(Locked), desk().held(["prod", "control"], reason="deploy"):
        pytest.fail("got in")
    assert desk().read("control") is None


@pytest.mark.parametrize("gone", ["no process of that number", "the number was given to another process"])
def test_a_dead_holders_lock_is_said_and_taken_over(desk, machine, gone):
    desk("bob", pid=200).take("prod", reason="deploy")
    machine.running.pop(200)
    if "another" in gone:
        machine.running[200] = "t9"
    taken = desk("ann").take("prod", reason="deploy")
    assert "stale" in taken.notice
    assert "bob" in taken.notice
    assert audit(desk())[-1]["action"] == "taken over"
    assert audit(desk())[-1]["previous"]["user"] == "bob"


def test_a_release_does_not_take_a_dead_holders_lock_over(desk, machine):
    desk("bob", pid=200).take("prod", reason="deploy")
    machine.running.pop(200)
    with pytest.raises(Locked, match=r"Its process is gone.*environment.unlock prod"):
        desk().take("prod", reason="release", over_stale=False, wait_s=60)


def test_who_takes_up_a_job_takes_over_the_lock_that_it_left_behind(desk, machine):
    desk("bob", pid=200).take("prod", reason="release", job="41")
    with pytest.raises(Locked):
        desk().take("prod", reason="resume", job="41", over_stale=False, succeeds="41")
    machine.running.pop(200)
    for job in ("42", ""):
        with pytest.raises(Locked):
            desk().take("prod", reason="resume", job=job, over_stale=False, succeeds=job)
    taken = desk().take("prod", reason="resume", job="41", over_stale=False, succeeds="41")
    assert "stale lock" in taken.notice


def test_a_kept_lock_stays_until_its_job_is_taken_up_or_somebody_forces_it(desk, machine):
    taken = desk("bob", pid=200).take("prod", reason="release", job="41")
    kept = desk("bob", pid=200).keep(taken, reason="stuck on app-2")
    assert kept.mode is Mode.MANUAL
    assert [line["action"] for line in audit(desk())] == ["taken", "kept"]
    machine.running.pop(200)
    desk("bob").release(taken)  # late, and not any more its own
    with pytest.raises(Locked, match="stuck on app-2"):
        desk("ann").take("prod", reason="deploy")
    with pytest.raises(Locked):
        desk("bob").unlock("prod")
    assert desk("ann").take("prod", reason="resume", job="41", succeeds="41").notice.startswith("took over the lock")


def test_a_lock_that_was_broken_is_not_kept(desk):
    taken = desk("bob").take("prod", reason="release", job="41")
    desk("ann").unlock("prod", force=True)
    assert desk("bob").keep(taken, reason="stuck") is None
    assert desk().read("prod") is None


def test_nobody_takes_up_no_job(desk):
    desk("bob").take("prod", reason="by hand", mode=Mode.MANUAL)
    with pytest.raises(Locked):
        desk().take("prod", reason="resume", succeeds="")


def test_a_lock_of_another_host_is_never_thought_dead(desk, machine):
    desk("bob", pid=200, host="elsewhere").take("prod", reason="deploy")
    machine.running.pop(200)
    with pytest.raises(Locked, match="on elsewhere"):
        desk().take("prod", reason="deploy")


def test_waiting_gets_it_when_the_other_job_ends(desk):
    bob = desk("bob", pid=200)
    bobs = bob.take("prod", reason="release")
    clock = FakeClock(lambda time: bob.release(bobs) if time >= 5 else None)
    assert desk("ann", clock=clock).take("prod", reason="deploy", wait_s=60).holder.user == "ann"
    assert 5 <= clock.time_s < 7


def test_waiting_ends_at_its_deadline(desk):
    desk("bob", pid=200).take("prod", reason="release")
    clock = FakeClock()
    with pytest.raises(Locked):
        desk("ann", clock=clock).take("prod", reason="deploy", wait_s=30)
    assert clock.time_s == pytest.approx(30)


def test_a_lock_by_hand_is_not_waited_for_and_never_stale(desk, machine):
    desk("bob", pid=200).take("prod", reason="hands off, I am looking", mode=Mode.MANUAL)
    machine.running.pop(200)
    clock = FakeClock()
    with pytest.raises(Locked, match=r"hands off.*Ask bob"):
        desk("ann", clock=clock).take("prod", reason="deploy", wait_s=30)
    assert clock.time_s == 0


def test_jobs_of_an_orchestration_join_its_lock_and_leave_it_in_place(desk):
    run = desk().take("prod", reason="deploy", mode=Mode.RUN)
    with desk().held(["prod"], reason="apply") as (joined,):
        assert joined.joined
    assert desk().read("prod") == run.holder
    assert desk().release_run("prod") == run.holder
    assert desk().read("prod") is None


def test_two_jobs_of_one_process_do_not_share_a_lock(desk):
    with desk().held(["prod"], reason="apply"), pytest.raises(Locked):
        desk().take("prod", reason="apply")


def test_another_process_does_not_end_an_orchestrations_lock(desk):
    desk().take("prod", reason="deploy", mode=Mode.RUN)
    assert desk("ann", pid=200).release_run("prod") is None
    assert desk().read("prod")


def test_releasing_late_leaves_the_next_holders_lock_alone(desk):
    mine = desk().take("prod", reason="deploy")
    desk("bob", pid=200).unlock("prod", force=True, reason="ann went home")
    bobs = desk("bob", pid=200).take("prod", reason="release")
    desk().release(mine)
    assert desk().read("prod") == bobs.holder


def test_unlocking_by_hand(desk, machine):
    assert desk().unlock("prod") is None
    desk("bob", pid=200).take("prod", reason="release")
    with pytest.raises(Locked):
        desk().unlock("prod")
    assert desk().unlock("prod", force=True, reason="bob asked me to").user == "bob"
    last = audit(desk())[-1]
    assert (last["action"], last["user"], last["reason"], last["previous"]["reason"]) == (
        "forced",
        "ann",
        "bob asked me to",
        "release",
    )
    desk().take("prod", reason="mine", mode=Mode.MANUAL)
    assert desk().unlock("prod").reason == "mine"


def test_a_dead_lock_is_unlocked_without_force(desk, machine):
    desk("bob", pid=200).take("prod", reason="release")
    machine.running.pop(200)
    assert desk().unlock("prod").user == "bob"


def test_a_spoilt_lock_file_counts_as_locked(desk):
    desk().take("prod", reason="deploy")
    (desk().folder / "prod.json").write_text("")
    with pytest.raises(Locked, match=r"prod\.json"):
        desk("bob", pid=200).take("prod", reason="deploy")


@pytest.mark.parametrize("name", ["../prod", "", "a/b", "."])
def test_a_name_cannot_lead_out_of_the_folder(desk, name):
    with pytest.raises(InvalidInput):
        desk().take(name, reason="deploy")


def test_this_very_process_is_found_and_a_free_number_is_not():
    real = Processes()
    assert real.find(real.mine().pid) == real.mine()
    assert real.find(2**22 + 1) is None
