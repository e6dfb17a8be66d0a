"""The one fake Docker host."""

from __future__ import annotations

import threading

from saltlick.errors import SaltlickError
from saltlick.sandbox.desired import Machine, Network


class Hardware:
    """Docker that does as told, or fails as told, and can be held up. `ended` is how its container ended, None while it runs."""

    def __init__(self, ended: int | None = None) -> None:
        self.did: list[str] = []
        self.fails = False
        self.ended = ended
        self.go = threading.Event()
        self.go.set()

    def _do(self, what: str) -> None:
        assert self.go.wait(5)
        self.did.append(what)
        if self.fails:
            raise SaltlickError("no room")

    def create_network(self, network: Network) -> None:
        self._do(f"create network {network.key}")

    def remove_network(self, key: str) -> None:
        self._do(f"remove network {key}")

    def create(self, machine: Machine, image: str) -> None:
        self._do(f"create {machine.key} from {image}")

    def start(self, key: str) -> None:
        self._do(f"start {key}")

    def stop(self, key: str) -> None:
        self._do(f"stop {key}")

    def restart(self, key: str) -> None:
        self._do(f"restart {key}")

    def remove(self, key: str, *, keep_console: bool = False) -> None:
        self._do(f"remove {key}{' keeping its console' if keep_console else ''}")

    def exit_code(self, key: str) -> int | None:
        return self.ended
