"""Ports for servers that are started later, by another process."""

from __future__ import annotations

import contextlib
import random
import socket

GIVEN: set[int] = set()
"""Ports that this process has chosen: none is given twice."""
LOW, HIGH = 15_000, 30_000
"""Below the kernel's ephemeral ports (32768 and up on Linux). A port from that range can be taken by any outgoing connection of
another process between the choice and the start of the server."""


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now, and that no outgoing connection takes."""
    for port in random.sample(range(LOW, HIGH), 200):
        if port not in GIVEN and _free(port):
            GIVEN.add(port)
            return port
    raise RuntimeError(f"no free port from {LOW} to {HIGH}")


def _free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
