"""Processes that are known by id and start time, and how they are ended. Sibling of `detached`."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil

GRACE_S = 5
"""How long a job's processes may take to end by themselves once told to."""


def born(pid):
    """When a process started, in a form that no other process of that number has; empty when it is gone."""
    try:
        if not sys.platform.startswith("linux"):
            process = psutil.Process(pid)
            return "" if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return (
            "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"
        )  # ticks since boot: setting the clock changes nothing
    except (OSError, psutil.Error):
        return ""


def alive(known):
    pid, start = known
    return bool(start) and born(pid) == start


def end(pid):
    """End a worker, what it started, and what that started: told first, killed after a grace."""
    family = _family(pid)
    _signal(pid, family, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=GRACE_S)
    _signal(pid, {*alive, *_family(pid)}, signal.SIGKILL)


def _family(pid):
    with contextlib.suppress(psutil.Error):
        worker = psutil.Process(pid)
        return [worker, *worker.children(recursive=True)]
    return []


def _signal(pid, family, number):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
