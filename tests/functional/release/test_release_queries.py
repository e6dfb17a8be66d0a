"""Control requests reach the journal of a running release; history, show and watch read it."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace

import pytest
from support.commands import run_typed
from support.release_master import code, dead, locks, record, written

from saltlick.commands.release import controls, queries
from saltlick.commands.release.context import open_journal
from saltlick.release.journal.control_request import ControlAction
from saltlick.release.journal.record import Phase, Result, StepRecord


def test_orders_reach_the_journal_and_a_dead_release_is_said(master):
    assert code(controls.pause, master.opts, "one")[0] == 2
    written(master)
    dead(master, job="41")
    answer = run_typed(controls.abort, master.opts, "one", reason="wrong one", user="bob")
    assert answer.result["heard"] is False
    assert "its process is gone" in str(answer.text)
    locks(master).unlock("one")
    locks(master).take("one", reason="release", job="41")
    answer = run_typed(controls.skip, master.opts, "one", server="one-app-2", user="bob")
    assert answer.result["heard"] is True
    assert answer.text == f"{record().id} leaves one-app-2 as it is"
    assert "one-app-9" in code(controls.skip, master.opts, "one", server="one-app-9")[1]
    with open_journal(master.opts) as journal:
        assert [(order.want, order.who) for order in journal.orders(record().id)] == [
            (ControlAction.ABORT, "bob"),
            (ControlAction.SKIP, "bob"),
        ]


def test_history_show_and_watch(master, capfd):
    assert "nothing was ever released in one" in code(queries.show, master.opts, "one")[1]
    made = written(master, result=Result.DONE, ended=1795356200.0)
    assert run_typed(queries.history, master.opts, "one").result["releases"][0]["id"] == made.id
    for name in ("one", made.id):
        shown = run_typed(queries.show, master.opts, name)
        assert shown.result["id"] == made.id
        assert shown.result["steps"][0]["name"] == "preflight"
        assert callable(shown.text)
        assert made.id in shown.text(False)
    assert "steps" not in run_typed(queries.show, master.opts, "one", steps=False).result
    watched = run_typed(queries.watch, master.opts, "one")
    assert watched.result["id"] == made.id
    assert "pre-flight" in capfd.readouterr().err


def test_watch_follows_until_it_is_over(master, capfd):
    made = written(master)

    def go_on() -> None:
        with open_journal(master.opts) as journal:
            step = StepRecord(
                number=2, phase=Phase.DRAIN, name="drain", server="one-app-1", batch=1, started=1795356193.0
            )
            journal.begin(made.id, [step])
            journal.end(made.id, [replace(step, ended=1795356195.0, ok=True)])
            journal.finish(made.id, Result.DONE)

    threading.Timer(0.4, go_on).start()
    assert run_typed(queries.watch, master.opts, "one", interval_s=0.1).result["outcome"] == "done"
    assert "drain" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_watch_ends_with_the_state_at_hand_on_any_signal(master, number, capfd):
    made = written(master)
    usual = signal.getsignal(number)

    def end() -> None:
        while signal.getsignal(number) is usual:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=end, daemon=True).start()
    watched = run_typed(queries.watch, master.opts, "one", interval_s=30)
    assert (watched.retcode, watched.result["outcome"]) == (0, "running")
    assert callable(watched.text)
    assert "salt-run release.watch one" in watched.text(False)
    assert signal.getsignal(number) is usual
    with open_journal(master.opts) as journal:
        assert not journal.orders(made.id), "the release is not asked for anything"
    assert "Traceback" not in capfd.readouterr().err
