"""Does what the comparison of AWS with Docker calls for: networks at once, containers in threads, failures remembered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from saltlick.sandbox.desired import Desired, Machine, Network, SandboxAction

log = logging.getLogger("saltlick.sandbox")
RETRY_S = 3
REBOOTED = 133


class ContainerHost(Protocol):
    """What has the networks and containers of a sandbox; `docker_host.DockerHost`."""

    def create_network(self, network: Network) -> None: ...

    def remove_network(self, key: str) -> None: ...

    def create(self, machine: Machine, image: str) -> None: ...

    def start(self, key: str) -> None: ...

    def stop(self, key: str) -> None: ...

    def restart(self, key: str) -> None: ...

    def remove(self, key: str, *, keep_console: bool) -> None: ...

    def exit_code(self, key: str) -> int | None:
        """How a container ended; None while it runs, or has never run."""


class Machines:
    """One action at a time per container, several containers at a time.

    `images` by kind of machine; `done` is called after each container's action, `gone` with the key of a removed one.
    `problems` holds what failed, by key, until it succeeds.
    """

    def __init__(
        self, metal: ContainerHost, images: Mapping[str, str], done: Callable[[], None], gone: Callable[[str], None]
    ) -> None:
        self.problems: dict[str, str] = {}
        self._metal, self._images, self._done, self._gone = metal, images, done, gone
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="machine")
        self._busy: set[str] = set()
        self._retry_at: dict[str, float] = {}
        self._reboots: set[str] = set()
        self._switched_on: set[str] = set()

    def network(self, action: SandboxAction) -> None:
        """Create or remove a network, here and now: containers wait for it."""
        if time.monotonic() < self._retry_at.get(action.key, 0):
            return
        if action.verb == "create_network" and action.network:
            network = action.network
            self._attempt(action, lambda: self._metal.create_network(network))
        elif action.verb == "remove_network":
            self._attempt(action, lambda: self._metal.remove_network(action.key))

    def machine(self, action: SandboxAction) -> None:
        """Have a thread do it, unless the container is busy or has just failed: then a later round asks again."""
        if action.key in self._busy or time.monotonic() < self._retry_at.get(action.key, 0):
            return
        self._busy.add(action.key)
        self._workers.submit(self._work, action)

    def reboot(self, keys: set[str]) -> None:
        """Remember to reboot these; AWS's models do not show that it was asked for."""
        self._reboots |= keys

    def due_reboots(self, desired: Desired) -> list[SandboxAction]:
        """The reboots that can be done now; those of busy containers stay for later."""
        machines = {machine.key: machine for machine in desired.machines if machine.running}
        due = {key for key in self._reboots if key not in self._busy}
        self._reboots -= due
        return [SandboxAction(verb="restart", key=key, machine=machines[key]) for key in sorted(due) if key in machines]

    def switched_itself_off(self, key: str) -> bool:
        """Whether a container ended without our stopping it, and did not merely reboot.

        Asked of the container itself: in the list this round works with, one that has just been started looks stopped.
        """
        return key in self._switched_on - self._busy and self._metal.exit_code(key) not in (None, REBOOTED)

    def is_off(self, key: str) -> None:
        self._switched_on.discard(key)

    def _work(self, action: SandboxAction) -> None:
        verbs = {
            "create": self._create,
            "start": self._start,
            "stop": self._halt,
            "restart": lambda action: self._metal.restart(action.key),
            "remove": self._remove,
        }
        try:
            self._attempt(action, lambda: verbs[action.verb](action))
        finally:
            self._busy.discard(action.key)
            self._done()

    def _attempt(self, action: SandboxAction, do: Callable[[], None]) -> None:
        started = time.monotonic()
        try:
            do()
        except Exception as error:  # kept as this container's or network's result
            log.exception("%s %s failed", action.verb, action.key)
            self.problems[action.key] = f"{action.verb}: {error}"
            self._retry_at[action.key] = time.monotonic() + RETRY_S
        else:
            log.info("%s %s (%.0f ms)", action.verb, action.key, (time.monotonic() - started) * 1000)
            self.problems.pop(action.key, None)

    def _create(self, action: SandboxAction) -> None:
        if action.machine:
            self._metal.create(action.machine, self._images[action.machine.kind])
            self._switched_on.add(action.key)

    def _start(self, action: SandboxAction) -> None:
        self._metal.start(action.key)
        self._switched_on.add(action.key)

    def _halt(self, action: SandboxAction) -> None:
        self._switched_on.discard(action.key)
        self._metal.stop(action.key)

    def _remove(self, action: SandboxAction) -> None:
        is_instance = action.machine is not None and action.machine.kind == "instance"
        self._switched_on.discard(action.key)
        self._metal.remove(action.key, keep_console=is_instance)
        self._gone(action.key)
