"""One action at a time per container, failures remembered and tried again, and who switched whom off."""

from __future__ import annotations

import threading

import pytest
from support.docker_hardware import Hardware
from support.sandbox_clouds import instance, snapshot

from saltlick.sandbox.desired import Actual, SandboxAction, desired
from saltlick.sandbox.machines import REBOOTED, Machines

WANTED = desired(snapshot(instance()), "198.51.100.0/24", Actual())
(MACHINE,) = WANTED.machines


class World:
    def __init__(self) -> None:
        self.hardware = Hardware()
        self.gone: list[str] = []
        self._finished = threading.Semaphore(0)
        self.machines = Machines(
            self.hardware, {"instance": "debian"}, done=self._finished.release, gone=self.gone.append
        )

    def ask(self, verb: str) -> None:
        self.machines.machine(SandboxAction(verb=verb, key="i-1", machine=MACHINE))

    def settle(self) -> None:
        assert self._finished.acquire(timeout=5)

    def do(self, verb: str) -> None:
        self.ask(verb)
        self.settle()


def test_actions_are_done_with_the_image_of_their_kind() -> None:
    world = World()
    for verb in ("create", "stop", "start", "restart", "remove"):
        world.do(verb)
    assert world.hardware.did == [
        "create i-1 from debian", "stop i-1", "start i-1", "restart i-1", "remove i-1 keeping its console",
    ]  # fmt: skip
    assert world.gone == ["i-1"]


def test_a_busy_container_is_left_alone() -> None:
    world = World()
    world.hardware.go.clear()
    world.ask("create")
    world.ask("start")
    world.machines.reboot({"i-1"})
    assert world.machines.due_reboots(WANTED) == []
    world.hardware.go.set()
    world.settle()
    assert world.hardware.did == ["create i-1 from debian"]
    assert [action.verb for action in world.machines.due_reboots(WANTED)] == ["restart"]
    assert world.machines.due_reboots(WANTED) == []


def test_a_failure_is_remembered_and_not_repeated_at_once() -> None:
    world = World()
    world.hardware.fails = True
    world.do("create")
    assert world.machines.problems == {"i-1": "create: no room"}
    world.ask("create")
    assert len(world.hardware.did) == 1


@pytest.mark.parametrize(("ended", "off"), [(0, True), (137, True), (REBOOTED, False), (None, False)])
def test_a_container_switched_itself_off_when_it_ended_and_nobody_stopped_it(ended: int | None, off: bool) -> None:
    """None: it runs. The list of containers a round works with may have been made before it was started."""
    world = World()
    world.do("create")
    world.hardware.ended = ended
    assert world.machines.switched_itself_off("i-1") is off


def test_a_container_that_was_stopped_did_not_switch_itself_off() -> None:
    world = World()
    world.do("create")
    world.do("stop")
    world.hardware.ended = 0
    assert not world.machines.switched_itself_off("i-1")
    assert not world.machines.switched_itself_off("i-never-seen")
