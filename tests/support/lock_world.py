"""Processes and a clock that do what the test says."""

from __future__ import annotations

from dataclasses import dataclass, field

from support.present import present

from saltlick.jobs.processes import Process, Processes


@dataclass
class Machine(Processes):
    """A machine whose processes are what the test says."""

    running: dict[int, str] = field(default_factory=dict)
    me: int = 100

    def find(self, pid: int) -> Process | None:
        return Process(pid, self.running[pid]) if pid in self.running else None

    def mine(self) -> Process:
        return present(self.find(self.me))
