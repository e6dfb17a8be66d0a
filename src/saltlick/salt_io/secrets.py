"""Secrets in the arguments of steps: each goes to whom it is for, and to nobody else.

An `sdb://` address is looked up on the master when its call leaves. On the way to a server the secret is encrypted to that
server's accepted key, because every minion of a master can read every job; `saltlick_call.run` opens it in the process that needs
it. The recipe, the journal, the lines, the events, the page, Salt's job cache and all replies have the address.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import salt.utils.sdb
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from saltlick.fleet.ports import Call, Reply
from saltlick.salt_io.signed import NotBelieved, accepted_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from saltlick.fleet.ports import Fleet

ADDRESS = "sdb://"
FOR_THE_SERVER = "sdb."
"""Functions that want the address itself."""
SEALED = "saltlick-sealed:"
"""As `_modules/_saltlick_call_seal.py` has it."""
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


class SecretResolvingFleet:
    """A `Fleet` on the master itself in front of another: what goes through it has its secrets, what comes back has none."""

    def __init__(self, fleet: Fleet, opts: Mapping[str, Any]) -> None:
        self._fleet = fleet
        self._opts = dict(opts)
        self._secrets: dict[str, str] = {}  # address → secret: of the whole job, as a detached one tells of it later

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> Mapping[str, Reply]:
        """A call whose secret cannot be looked up fails, and is not made."""
        opened: dict[str, Call] = {}
        lost: dict[str, Reply] = {}
        for server, call in calls.items():
            try:
                opened[server] = self._open(server, call)
            except LookupError as error:
                lost[server] = Reply(False, error=f"{call.function}: {error.args[0]}")
        replies = {**(self._fleet.run(opened, deadline_s=deadline_s) if opened else {}), **lost}
        return {server: self._closed(replies[server]) for server in calls}

    def _open(self, server: str, call: Call) -> Call:
        if call.function.startswith(FOR_THE_SERVER):
            return call
        args = tuple(in_texts(call.args, lambda text: self._argument(server, text)))
        kwargs = in_texts(call.kwargs, lambda text: self._argument(server, text))
        found = (args, kwargs) != (tuple(in_texts(call.args, str)), in_texts(call.kwargs, str))
        return replace(call, args=args, kwargs=kwargs, hide=tuple(self._secrets) if found else ())

    def _argument(self, server: str, text: str) -> str:  # noqa: ARG002 - here all are for the master
        """What stands in the call in place of a text."""
        return self._secret(text) if text.startswith(ADDRESS) else text

    def _secret(self, address: str) -> str:
        if address not in self._secrets:
            self._secrets[address] = look_up(self._opts, address)
        return self._secrets[address]

    def _closed(self, reply: Reply) -> Reply:
        if not self._secrets:
            return reply
        return replace(reply, value=in_texts(reply.value, self._hidden), error=self._hidden(reply.error))

    def _hidden(self, text: str) -> str:
        for address, secret in sorted(self._secrets.items(), key=lambda known: len(known[1]), reverse=True):
            text = text.replace(secret, address)  # the longest first: one may be a part of another
        return text


class SealingFleet(SecretResolvingFleet):
    """The same in front of servers: each secret is encrypted to the server that gets it."""

    def __init__(self, fleet: Fleet, opts: Mapping[str, Any]) -> None:
        super().__init__(fleet, opts)
        self._keys = Path(opts["pki_dir"]) / "minions"
        self._sealed: dict[str, dict[str, str]] = {}  # server → address → as it travels

    def _open(self, server: str, call: Call) -> Call:
        """With all secrets that the server had before: what it tells later of a detached job may have them."""
        before = self._sealed.get(server, {}).values()
        return replace(super()._open(server, call), hide=tuple(before))

    def _argument(self, server: str, text: str) -> str:
        if not text.startswith(ADDRESS):
            return text
        mine = self._sealed.setdefault(server, {})
        if text not in mine:
            mine[text] = sealed(self._key(server), text, self._secret(text))
        return mine[text]

    def _key(self, server: str) -> RSAPublicKey:
        try:
            return accepted_key(self._keys, server)
        except NotBelieved as error:
            raise LookupError(f"no secret can be encrypted to {server}: {error}") from None


def sealed(key: RSAPublicKey, address: str, secret: str) -> str:
    """A secret as it travels: the address, a key that only the server can unwrap, and the token that it opens."""
    own = Fernet.generate_key()
    wrapped = base64.b64encode(key.encrypt(own, OAEP)).decode()
    return f"{SEALED}{address} {wrapped} {Fernet(own).encrypt(secret.encode()).decode()}"


def in_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A value with all texts inside of it changed, names of mappings too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {in_texts(name, change): in_texts(item, change) for name, item in value.items()}
    return [in_texts(item, change) for item in value] if isinstance(value, (list, tuple)) else value


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
