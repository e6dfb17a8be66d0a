"""The master's event bus."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import salt.utils.event

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_TIMEOUT_MS = 1000


class MasterBus:
    """An `EventBus` of the master. Without a running master, events go nowhere, without an error."""

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._event = None
        if master_listens(opts):
            self._event = salt.utils.event.get_event("master", opts["sock_dir"], opts=dict(opts), listen=False)

    def fire(self, tag: str, content: Mapping[str, Any]) -> None:
        """Fire an event. A bus that does not take it is not tried again."""
        if self._event is not None and not self._event.fire_event(dict(content), tag, timeout=CONNECT_TIMEOUT_MS):
            self.close()

    def close(self) -> None:
        """Let go of the socket."""
        if self._event is not None:
            self._event.destroy()
            self._event = None


def master_listens(opts: Mapping[str, Any]) -> bool:
    """Whether a master takes events here. Salt itself would try for a second where none does."""
    return _answers(opts, "master_event_pull.ipc")


def master_publishes(opts: Mapping[str, Any]) -> bool:
    """Whether a master publishes here what its minions return."""
    return _answers(opts, "master_event_pub.ipc")


def _answers(opts: Mapping[str, Any], name: str) -> bool:
    """A killed master leaves its sockets in their folder, so a connection is the only proof."""
    if opts.get("__role") != "master":
        return False
    if opts.get("ipc_mode") == "tcp":
        return True
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(CONNECT_TIMEOUT_MS / 1000)
        with contextlib.suppress(OSError):
            trial.connect(str(Path(opts["sock_dir"]) / name))
            return True
    return False
