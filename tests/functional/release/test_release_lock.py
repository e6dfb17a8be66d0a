"""A release and the environment's lock: who holds it after each outcome, a signal, or a process that died."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.balancers import FakeBalancer
from support.clock import FakeClock
from support.commands import run_typed
from support.fleet import FakeFleet
from support.present import present
from support.release_master import code, dead, locks, record, written

from saltlick.commands import lock
from saltlick.commands.arguments import caller
from saltlick.commands.release import commands, controls, queries
from saltlick.commands.release.context import open_journal, release_target
from saltlick.commands.release.job import ReleaseJob, run_release
from saltlick.commands.result import guarded
from saltlick.jobs.holder import Mode
from saltlick.jobs.interrupts import Interrupted
from saltlick.release.context import ReleaseContext
from saltlick.release.journal.record import ReleaseRecord, Result, ServerRecord, ServerStatus

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def played(
    opts: Any, name: str, recipe: Any, *, notify: Any, interrupts: Any, environment: Any
) -> Iterator[ReleaseContext]:
    with open_journal(opts) as journal:
        yield ReleaseContext(
            fleet=FakeFleet(),
            master=FakeFleet(),
            balancer=FakeBalancer(),
            journal=journal,
            clock=FakeClock(),
            notify=notify,
            interrupts=interrupts,
        )


def rolled(master, story: Any, *, succeeds: ReleaseRecord | None = None, job: str = "41") -> Any:
    release = release_job(master, succeeds)
    request = release.request(caller(job, "ann"), 0)
    return guarded(run_release, master.opts, release, request, story, open_context=played)


def release_job(master, continues: ReleaseRecord | None = None) -> ReleaseJob:
    target = release_target(master.opts, "one")
    return ReleaseJob(
        environment="one",
        recipe=target.recipe,
        action="release",
        reason="release of main",
        target=target,
        continues=continues,
    )


def ends(result: Result, reason: str = "") -> Any:
    def story(on: ReleaseContext) -> ReleaseRecord:
        on.journal.open(record(), recipe="{}")
        on.journal.finish(record().id, result, reason)
        return present(on.journal.read(record().id))

    return story


@pytest.mark.parametrize("result", [Result.DONE, Result.UNCHANGED, Result.PARTIAL, Result.REFUSED, Result.ROLLED_BACK])
def test_a_release_that_is_over_gives_the_lock_back(master, result):
    answer = rolled(master, ends(result))
    assert answer.retcode == result.exit_code
    assert locks(master).read("one") is None
    assert (master.folder / "var/cache/salt/master/saltlick/releases" / f"{record().id}.html").exists()
    assert answer.result["page"].endswith(".html")
    assert json.dumps(answer.result)


def test_a_stuck_release_keeps_the_lock_for_a_person_and_for_its_resume(master):
    assert rolled(master, ends(Result.STUCK, "one-app-2 does not start")).retcode == 6
    held = present(locks(master).read("one"))
    assert held.mode is Mode.MANUAL
    assert "salt-run release.resume one" in held.reason
    refused = rolled(master, ends(Result.DONE), job="42")
    assert refused.retcode == 3
    assert "release.resume one" in refused.result["error"]

    def mended(on: ReleaseContext) -> ReleaseRecord:
        on.journal.finish(record().id, Result.DONE)
        return present(on.journal.read(record().id))

    assert rolled(master, mended, succeeds=replace(record(), result=Result.STUCK), job="43").retcode == 0
    assert locks(master).read("one") is None


def test_a_release_whose_process_died_is_said_and_only_its_resume_takes_the_lock(master):
    written(master)
    dead(master, job="41")
    refused = rolled(master, ends(Result.DONE), job="42")
    assert refused.retcode == 3
    assert "Its process is gone" in refused.result["error"]
    assert f"To go on with {record().id}: salt-run release.resume one" in refused.result["error"]
    answer = run_typed(commands.resume, master.opts, "one", job_id="43", user="ann")
    assert "no salt-master runs here" in answer.result["error"], "it had the lock, and got as far as that"
    assert present(locks(master).read("one")).mode is Mode.MANUAL, "and left it as it was: it is still half done"


def test_a_release_that_is_at_work_is_watched_or_aborted(master):
    written(master)
    locks(master).take("one", reason="release", job="41")
    for command, typed in ((commands.rolling, {"rev": "v1"}), (commands.resume, {})):
        retcode, error = code(command, master.opts, "one", **typed)
        assert retcode == 3
        assert f"salt-run release.watch one; to take {record().id} back: salt-run release.abort one" in error
        assert "release.resume" not in error
        assert "unlock" not in error
    assert run_typed(queries.show, master.opts, "one").result["id"] == record().id
    answer = run_typed(controls.abort, master.opts, "one", user="bob")
    assert answer.result["heard"] is True


def test_another_job_that_is_at_work_beside_a_half_done_release_is_what_is_told(master):
    written(master, result=Result.STUCK)
    locks(master).take("one", reason="deploy", job="77")
    retcode, error = code(commands.rolling, master.opts, "one", rev="v1")
    assert retcode == 3
    assert error.endswith("It is at work: wait for it (lock_wait=600), or ask bob")


def test_a_lock_by_hand_is_not_put_over_a_stale_one(master):
    dead(master, job="41")
    retcode, error = code(lock.lock, master.opts, "one", message="sale")
    assert retcode == 3
    assert "Its process is gone and may have left work half done" in error
    assert present(locks(master).read("one")).job == "41"


def test_a_defect_in_the_middle_keeps_the_lock(master):
    def story(on: ReleaseContext) -> ReleaseRecord:
        on.journal.open(record(), recipe="{}")
        raise ZeroDivisionError

    assert rolled(master, story).retcode == 1
    assert present(locks(master).read("one")).mode is Mode.MANUAL


def test_the_second_signal_keeps_the_lock_and_says_what_is_left(master, capfd):
    def story(on: ReleaseContext) -> ReleaseRecord:
        on.journal.open(record(), recipe="{}")
        os.kill(os.getpid(), signal.SIGINT)
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except Interrupted as stopped:
            on.journal.explain(record().id, f"stopped at once ({stopped}); left: one-app-1: touched")
        return present(on.journal.read(record().id))

    answer = rolled(master, story)
    assert answer.retcode == 6
    assert "left: one-app-1: touched" in answer.result["error"]
    assert present(locks(master).read("one")).job == "41"
    assert "Once more stops this instant" in capfd.readouterr().err


def test_a_signal_while_it_waits_for_the_lock_ends_it(master):
    locks(master).take("one", reason="deploy", job="1")
    release = release_job(master)
    usual = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        while signal.getsignal(signal.SIGINT) is usual:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    request = release.request(caller("2"), 30)
    answer = guarded(run_release, master.opts, release, request, ends(Result.DONE), open_context=played)
    assert (answer.retcode, answer.result["error"]) == (7, "Ctrl-C: nothing was touched")
    assert present(locks(master).read("one")).job == "1"


def test_resume_and_rollback_without_anything_half_done(master):
    assert "no release of one is half done" in code(commands.resume, master.opts, "one")[1]
    written(master, result=Result.DONE)
    assert code(commands.resume, master.opts, "one", release="one-1")[0] == 2


def left_out(result: Result) -> dict[str, Any]:
    """A release that is over, with a server that it left out of traffic."""
    servers = (
        ServerRecord(name="one-app-1", batch=1, standing=ServerStatus.DONE),
        ServerRecord(name="one-app-2", batch=2, previous="a" * 40, standing=ServerStatus.LEFT_OUT),
    )
    return {"result": result, "ended": 1795356200.0, "servers": servers}


def test_resume_takes_up_what_went_back_without_a_server(master):
    written(master, **left_out(Result.ROLLED_BACK))
    retcode, error = code(commands.resume, master.opts, "one")
    assert "no salt-master runs here" in error, "it had the lock, and got as far as that"
    assert retcode == 7
    assert locks(master).read("one") is None, "and gave it back: nothing was begun"


def test_resume_of_a_release_that_left_a_server_out_names_the_command_that_brings_it_back(master):
    written(master, **left_out(Result.PARTIAL))
    retcode, error = code(commands.resume, master.opts, "one")
    assert retcode == 2
    assert "no release of one is half done; a release brings one-app-2 back: " in error
    assert error.endswith("salt-run release.rolling one rev=f5d9859")
