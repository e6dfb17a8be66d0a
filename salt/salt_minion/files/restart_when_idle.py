"""Restart the Salt minion as soon as it runs no job: restart_when_idle.py CONFIG SERVICE DEADLINE_S.

Run detached by the state salt_minion-service-restart, with the Python that Salt runs on.
A minion that is not running is left alone: it reads the new settings when it starts. The state leaves the file PENDING, which a
deployment looks for: it goes when the new minion has started, or will not be started.
"""

import subprocess
import sys
import time
from pathlib import Path

import salt.config
import salt.utils.minion

PENDING = Path("/var/run/saltlick-minion-restart")


def main(config: str, service: str, deadline_s: str) -> int:
    """Restart the minion once it has no job; 1 if its jobs do not end in time. PENDING is gone afterwards."""
    try:
        return restart(config, service, deadline_s)
    finally:
        if PENDING.exists():
            PENDING.unlink()


def restart(config: str, service: str, deadline_s: str) -> int:
    """Wait for the minion's jobs to end, then restart it; 1 if they do not end in time."""
    opts = salt.config.minion_config(config)
    deadline = time.monotonic() + float(deadline_s)
    while jobs := salt.utils.minion.running(opts):
        if time.monotonic() > deadline:
            print(f"{service} not restarted: after {deadline_s} s it still runs {[job['fun'] for job in jobs]}")
            return 1
        time.sleep(1)
    if tell(service, "status") != 0:
        return 0
    return tell(service, "restart")


def tell(service: str, verb: str) -> int:
    """Exit code of the init system's command."""
    systemd = Path("/run/systemd/system").exists()
    command = ["systemctl", verb, service] if systemd else ["service", service, verb]
    return subprocess.call(command, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
