"""Which process a number stands for, so that a reused pid is not taken for the one that had it before."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process for good: its number and when it started (opaque, comparable only for equality)."""

    pid: int
    started: str


class Processes:
    """The processes of this machine."""

    def mine(self) -> Process:
        """The calling process."""
        process = self.find(os.getpid())
        if process is None:
            raise ProcessLookupError(os.getpid())
        return process

    def find(self, pid: int) -> Process | None:
        """The running process of that number, or None.

        Source: proc(5), field 22 of `stat` (clock ticks since boot, hence the boot's own id beside it); `ps` where
        there is no Linux /proc (FreeBSD).
        """
        started = self._from_proc(pid) if (PROC / "self/stat").exists() else self._from_ps(pid)
        return Process(pid, started) if started else None

    def _from_proc(self, pid: int) -> str:
        try:
            fields = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        if fields[0] in {"Z", "X"}:  # a zombie holds nothing any more
            return ""
        boot = (PROC / "sys/kernel/random/boot_id").read_text("utf-8").strip()
        return f"{boot}/{fields[19]}"

    def _from_ps(self, pid: int) -> str:
        ps = shutil.which("ps") or "/bin/ps"
        listed = subprocess.run([ps, "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603
        return listed.stdout.strip()
