"""Secrets in the arguments of steps: an `sdb://` address is looked up on the master when its call leaves, and not before.

The recipe, the journal, the lines, the events and the page have the address; where a reply says the secret, it is put back.
Salt's own job cache has the arguments, as it has those of any job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import salt.utils.sdb

from saltlick.fleet.ports import Call, Reply

if TYPE_CHECKING:
    from saltlick.fleet.ports import Fleet

ADDRESS = "sdb://"
FOR_THE_SERVER = "sdb."
"""Functions that want the address itself."""


class SecretResolvingFleet:
    """A `Fleet` in front of another: what goes through it has its secrets, what comes back has none."""

    def __init__(self, fleet: Fleet, opts: Mapping[str, Any]) -> None:
        self._fleet = fleet
        self._opts = dict(opts)
        self._secrets: dict[
            str, str
        ] = {}  # address → secret: of the whole release, as a detached job tells of it later

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> Mapping[str, Reply]:
        """A call whose secret cannot be looked up fails, and is not made."""
        opened: dict[str, Call] = {}
        lost: dict[str, Reply] = {}
        for server, call in calls.items():
            try:
                opened[server] = self._open(call)
            except LookupError as error:
                lost[server] = Reply(False, error=f"{call.function}: {error.args[0]}")
        replies = {**(self._fleet.run(opened, deadline_s=deadline_s) if opened else {}), **lost}
        return {server: self._closed(replies[server]) for server in calls}

    def _open(self, call: Call) -> Call:
        if call.function.startswith(FOR_THE_SERVER):
            return call
        args, kwargs = self._in_texts(call.args, self._secret), self._in_texts(call.kwargs, self._secret)
        return replace(call, args=tuple(args), kwargs=kwargs)

    def _closed(self, reply: Reply) -> Reply:
        if not self._secrets:
            return reply
        return replace(reply, value=self._in_texts(reply.value, self._hidden), error=self._hidden(reply.error))

    def _in_texts(self, value: Any, change: Any) -> Any:
        """All texts inside a value."""
        if isinstance(value, str):
            return change(value)
        if isinstance(value, Mapping):
            return {name: self._in_texts(item, change) for name, item in value.items()}
        return [self._in_texts(item, change) for item in value] if isinstance(value, (list, tuple)) else value

    def _secret(self, text: str) -> str:
        if not text.startswith(ADDRESS):
            return text
        if text not in self._secrets:
            self._secrets[text] = look_up(self._opts, text)
        return self._secrets[text]

    def _hidden(self, text: str) -> str:
        for address, secret in self._secrets.items():
            text = text.replace(secret, address)
        return text


def look_up(opts: Mapping[str, Any], address: str) -> str:
    """The secret at an `sdb://` address, as the master finds it.

    Raises: LookupError, without the driver's own words: they may hold what nobody should read.
    """
    try:
        secret = salt.utils.sdb.sdb_get(address, dict(opts))
    except Exception as error:  # of whatever driver
        raise LookupError(f"{address} cannot be looked up on the master: {type(error).__name__}") from None
    if not isinstance(secret, str) or not secret or secret == address:
        raise LookupError(f"the master finds nothing at {address}")
    return secret
