"""Signals during a release: what the first and the second mean, before, during and after the rollout."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from saltlick.jobs.interrupts import Interrupted
from saltlick.jobs.signals import Signals


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def signals(said) -> Signals:
    return Signals(said.append)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_the_first_asks_for_an_abort_and_the_second_stops_at_once(signals, said):
    with signals.handled(), signals.abortable() as interrupts:
        send(signal.SIGINT)
        assert interrupts.asked == "Ctrl-C"
        assert "Once more stops this instant" in said[0]
        with pytest.raises(Interrupted, match="Ctrl-C, then SIGTERM"):
            send(signal.SIGTERM)
    assert len(said) == 1


def test_before_the_rollout_the_first_ends_it(signals):
    with signals.handled(), pytest.raises(Interrupted, match="SIGTERM"):
        send(signal.SIGTERM)


def test_after_the_rollout_none_is_heard(signals, said):
    with signals.handled():
        with signals.abortable():
            pass
        send(signal.SIGINT)
        send(signal.SIGINT)
    assert said == []


def test_a_lost_terminal_does_not_end_it(signals, said):
    usual = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the suite itself may run under nohup
    with signals.handled(), signals.abortable() as interrupts:
        send(signal.SIGHUP)
        assert interrupts.asked == ""
    assert signal.signal(signal.SIGHUP, usual) is signal.SIG_DFL
    assert "goes on" in said[0]


def test_handlers_of_before_come_back(signals):
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with signals.handled():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_hangup_that_is_ignored_stays_ignored(signals):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.handled():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_there_are_no_handlers_to_set(signals):
    seen: list[object] = []

    def run() -> None:
        with signals.handled(), signals.abortable() as interrupts:
            seen.append(interrupts.asked)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [""]
