"""Background processes known by pid and start time: a pid alone may have been reused."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from saltlick.errors import SaltlickError, WaitTimeout
from saltlick.jobs.processes import Processes


def start(pid_file: Path, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> int:
    """Start `command` in a session of its own, its output in `log`. Returns the pid, also written to `pid_file`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    pid_file.write_text(json.dumps({"pid": child.pid, "started": started_at(child.pid)}))
    return child.pid


def running(pid_file: Path) -> int | None:
    """The pid of the process that was started, if it still runs."""
    try:
        known = json.loads(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    pid = int(known["pid"])
    started = started_at(pid)
    return pid if started and started == known["started"] else None


def stop(pid_file: Path, *, timeout_s: float = 20, sleep: Callable[[float], None] = time.sleep) -> bool:
    """SIGTERM, and SIGKILL when that is not heard. Returns whether there was something to stop."""
    pid = running(pid_file)
    deadline = time.monotonic() + timeout_s
    for number in (signal.SIGTERM, signal.SIGKILL):
        while pid and running(pid_file):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            sleep(0.1)
            if number == signal.SIGTERM and time.monotonic() > deadline:
                break
    pid_file.unlink(missing_ok=True)
    return pid is not None


def started_at(pid: int) -> str | None:
    """When a process started; None when there is none, or only its zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    process = Processes().find(pid)
    return process.started if process else None


@contextlib.contextmanager
def exclusive(path: Path, *, wait_s: float = 900, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """One at a time over processes. The kernel lets go when the holder dies.

    Raises: WaitTimeout when another process holds it for too long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_s
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise WaitTimeout(f"lock {path}", "held by another sandbox command", wait_s) from error
                sleep(0.2)
        yield


def wait_until(what: str, seen: Callable[[], bool], last: Callable[[], str], *, timeout_s: float, alive: Path) -> None:
    """Poll `seen` while the process of `alive` runs.

    Raises: SaltlickError when the process ends first; WaitTimeout.
    """
    deadline = time.monotonic() + timeout_s
    while not seen():
        if running(alive) is None:
            raise SaltlickError(f"{what}: the process ended; its last words:\n{last()}")
        if time.monotonic() > deadline:
            raise WaitTimeout(what, last(), timeout_s)
        time.sleep(0.1)
