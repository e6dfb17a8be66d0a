"""When a container that does not run means that its instance was switched off from inside."""

from __future__ import annotations

import threading

import pytest
from support.docker_hardware import Hardware

from saltlick.sandbox.desired import SandboxAction
from saltlick.sandbox.machines import REBOOTED, Machines


def started(metal: Hardware) -> Machines:
    """Machines that have just started `i-1`."""
    done = threading.Event()
    machines = Machines(metal, {}, done=done.set, gone=lambda key: None)
    machines.machine(SandboxAction(verb="start", key="i-1"))
    assert done.wait(5)
    return machines


@pytest.mark.parametrize(
    ("code", "off"),
    [
        pytest.param(0, True, id="halted"),
        pytest.param(137, True, id="killed"),
        pytest.param(REBOOTED, False, id="rebooting"),
        pytest.param(None, False, id="listed just before it started, running by now"),
    ],
)
def test_switched_off_from_inside(code, off):
    assert started(Hardware(code)).switched_itself_off("i-1") is off


def test_what_we_have_not_switched_on_cannot_switch_itself_off():
    machines = Machines(Hardware(0), {}, done=lambda: None, gone=lambda key: None)
    assert not machines.switched_itself_off("i-1")
