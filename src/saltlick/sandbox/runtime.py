"""HAProxy's runtime socket: servers come and go while the worker and its clients' connections stay."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Mapping
from pathlib import Path

from saltlick.sandbox import balancer as haproxy
from saltlick.sandbox.balancer import BackendCheck, BackendServer
from saltlick.sandbox.cloud import SandboxTargetGroup

ADDED = "New server registered."


def bring(
    path: Path, group: SandboxTargetGroup, servers: Collection[BackendServer], known: Mapping[str, BackendCheck]
) -> list[str]:
    """Give one backend exactly these servers, each with its weight. `known` is what it has, by server name.

    Returns what HAProxy answered where it did not take a server. Raises: OSError when it does not answer.
    A server that still has connections cannot be deleted: it gets no requests, and the next call tries again.
    """
    wanted = {haproxy.server_name(server.target): server for server in servers}
    for name in sorted(known.keys() - wanted.keys()):
        _remove(path, f"{haproxy.backend(group)}/{name}")
    refused = [_add(path, group, wanted[name]) for name in sorted(wanted.keys() - known.keys())]
    for name in sorted(wanted.keys() & known.keys()):
        _turn(path, f"{haproxy.backend(group)}/{name}", haproxy.weight(wanted[name].health), known[name])
    return [answer for answer in refused if answer]


def _add(path: Path, group: SandboxTargetGroup, server: BackendServer) -> str:
    """Add a server, checked and in its weight; returns the reason where HAProxy refuses it."""
    name = f"{haproxy.backend(group)}/{haproxy.server_name(server.target)}"
    answer = ask(path, f"add server {name} {haproxy.server_options(group, server)}").strip()
    if answer != ADDED:
        return f"{haproxy.server_name(server.target)} ({answer or 'no answer'})"
    ask(path, f"enable health {name}")
    ask(path, f"set server {name} state ready")
    return ""


def _remove(path: Path, name: str) -> None:
    ask(path, f"set server {name} state maint")
    ask(path, f"shutdown sessions server {name}")
    ask(path, f"del server {name}")


def _turn(path: Path, name: str, weight: int, check: BackendCheck) -> None:
    if check.maintained:  # it was to be removed, and came back first
        ask(path, f"set server {name} state ready")
    if check.weight != weight:
        ask(path, f"set server {name} weight {weight}")


def ask(path: Path, command: str) -> str:
    """One command to HAProxy's runtime socket. Raises: OSError.

    The socket is reached through its folder's descriptor: a socket's path may have 107 characters, ours may be longer.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
            connection.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    finally:
        os.close(folder)
