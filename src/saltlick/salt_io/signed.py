"""Whose reply a return is: the server's whose accepted key signed it, and nobody else's.

Any accepted minion may fire an event with another's tag. Source: Salt 3008, `daemons/masterapi.py`, `_minion_event` (no form of
it looks at `salt/job/*/ret/*`, and those with `events` or `pretag` carry an `id` of the sender's choice), and `master.py`,
`_return` (`resource_id` takes the place of the id that was verified). So servers are called through `saltlick_call.run`, which
signs.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from saltlick.fleet.ports import Call

RUN = "saltlick_call.run"
PURPOSE = b"saltlick reply 1\n"
"""As `_modules/_saltlick_call_seal.py` has it."""
UNSIGNED = ("saltutil.sync_", "saltutil.refresh_")
"""What brings the module that signs. Nothing is decided by their replies: a server that has no module after all fails next."""


class NotBelieved(Exception):
    """A return that its server did not sign; the message says what is wrong with it."""


class ReplyCheck(Protocol):
    """How a call leaves, and whether a return is the server's."""

    def asking(self, call: Call) -> Call:
        """The call as it is published."""

    def signs(self, call: Call) -> bool:
        """Whether the reply to it is signed."""

    def believed(self, server: str, jid: str, call: Call, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """The return (`return`, `retcode`, `success`) that the server itself gave. Raises: NotBelieved."""


class SignedReplies:
    """A `ReplyCheck` with the keys that this master accepted."""

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._keys = Path(opts["pki_dir"]) / "minions"

    def asking(self, call: Call) -> Call:
        if not self.signs(call):
            return call
        given: dict[str, Any] = {"function": call.function, "args": list(call.args), "kwargs": dict(call.kwargs)}
        return Call(RUN, (), given | ({"hide": list(call.hide)} if call.hide else {}))

    def signs(self, call: Call) -> bool:
        return not call.function.startswith(UNSIGNED)

    def believed(self, server: str, jid: str, call: Call, content: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.signs(call):
            return content
        reply = content.get("return")
        text, signature = _parts(reply)
        try:
            accepted_key(self._keys, server).verify(
                signature, PURPOSE + text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            raise NotBelieved("its signature is not by the key that this master accepted") from None
        return _facts(text, {"jid": jid, "id": server, "function": call.function})


def accepted_key(folder: Path, server: str) -> RSAPublicKey:
    """The key that the master accepted for a server. Raises: NotBelieved where there is none."""
    if not server or "/" in server or server.startswith("."):
        raise NotBelieved("its name is none of a server")
    try:
        key = load_pem_public_key((folder / server).read_bytes())
    except (OSError, ValueError) as error:
        raise NotBelieved(f"the key that this master accepted cannot be read: {type(error).__name__}") from error
    if not isinstance(key, RSAPublicKey):
        raise NotBelieved("the key that this master accepted is no RSA key")
    return key


def _parts(reply: Any) -> tuple[str, bytes]:
    if isinstance(reply, Mapping) and isinstance(reply.get("signed"), str) and isinstance(reply.get("signature"), str):
        try:
            return reply["signed"], base64.b64decode(reply["signature"], validate=True)
        except (binascii.Error, ValueError):
            raise NotBelieved("its signature is garbage") from None
    if f"{RUN}' is not available" in str(reply):
        raise NotBelieved(f"it has no {RUN}: `salt <server> saltutil.sync_modules` brings it")
    lines = str(reply).strip().splitlines()
    raise NotBelieved(f"it is not signed: {lines[-1][:200] if lines else 'empty'}")


def _facts(text: str, expected: Mapping[str, str]) -> Mapping[str, Any]:
    """What was signed, if it is about this call: a true answer to another question is a lie here."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        raise NotBelieved("what it signed cannot be read") from None
    if not isinstance(facts, Mapping) or any(facts.get(name) != value for name, value in expected.items()):
        raise NotBelieved("it signed an answer to another call")
    if type(facts.get("retcode")) is not int or type(facts.get("success")) is not bool or "return" not in facts:
        raise NotBelieved("what it signed is no return of a function")
    return {name: facts[name] for name in ("return", "retcode", "success")}
