"""Minion keys and the master's own: what waits, what is accepted, and the fingerprints both sides know them by."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import salt.crypt
import salt.key
import salt.utils.crypt
import salt.utils.event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.environment.key_evidence import OfferedKey

PENDING, ACCEPTED, DENIED = "minions_pre", "minions", "minions_denied"


@dataclass(frozen=True, slots=True, order=True)
class MinionKey:
    """One public key that somebody offered under a minion id."""

    id: str
    finger: str


def finger(pem: str) -> str:
    """SHA-256 fingerprint of a public key, as `salt-call key.finger` on the minion prints it.

    Source: `salt.utils.crypt.pem_finger(path)`, which leaves out the first and last line. Measured on 3008.3:
    `salt-key -f` hashes the lines of the whole file instead and never equals what the minion prints.
    """
    lines = [line for line in pem.replace("\r\n", "\n").splitlines(keepends=True) if line.strip()]
    digest = hashlib.sha256("".join(lines[1:-1]).encode()).hexdigest()
    return ":".join(digest[spot : spot + 2] for spot in range(0, len(digest), 2))


class SaltKeys:
    """The keys of this master's `pki_dir`. A context manager: Salt opens its event bus to tell of each change."""

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._key = salt.key.get_key(dict(opts))

    def __enter__(self) -> SaltKeys:
        return self

    def __exit__(self, *exception: object) -> None:
        event = vars(self._key).get("event")
        if event is not None:
            event.destroy()

    def pending(self) -> tuple[MinionKey, ...]:
        """Keys that wait for somebody to decide."""
        return self._keys(PENDING)

    def accepted(self) -> tuple[MinionKey, ...]:
        """Keys of minions that may talk to this master."""
        return self._keys(ACCEPTED)

    def denied(self) -> tuple[MinionKey, ...]:
        """Second keys offered under an id that has one already."""
        return self._keys(DENIED)

    def accept(self, key: OfferedKey) -> bool:
        """Accept exactly this key, pending or denied, in place of any other that waits under its id.

        False when it is neither any more. A stranger who offers a key again and again gains nothing: what is accepted is the
        text with this fingerprint, not what waits at that moment.

        Source: measured on 3008.3, `salt.key.Key.change_state` takes the first denied key of an id, whichever it is.
        """
        if not (text := self._offered(key)):
            return False
        self._key.cache.store("keys", key.id, {"pub": text, "state": "accepted"})
        self._key.cache.flush("denied_keys", key.id)
        self._key.event.fire_event(
            {"result": True, "act": "accepted", "id": key.id}, salt.utils.event.tagify(prefix="key")
        )
        if MinionKey(key.id, key.finger) in self.accepted():
            return True
        self.delete(key.id)  # somebody else's key came between
        return False

    def _offered(self, key: OfferedKey) -> str:
        """The text of the pending or denied key with that fingerprint; empty when there is none."""
        every = self._key.key_str_all()
        texts = (text for status in (PENDING, DENIED) for text in _texts(every.get(status, {}).get(key.id)))
        return next((text for text in texts if finger(text) == key.finger), "")

    def delete(self, minion_id: str) -> bool:
        """Forget the accepted key of a minion that is no more; False when there is none."""
        if minion_id not in {key.id for key in self.accepted()}:
            return False
        self._key.delete_key(match_dict={ACCEPTED: [minion_id]})
        return True

    def _keys(self, status: str) -> tuple[MinionKey, ...]:
        texts_by_minion = self._key.key_str_all().get(status, {})
        offered = [(minion, text) for minion, texts in texts_by_minion.items() for text in _texts(texts)]
        return tuple(sorted(MinionKey(minion, finger(text)) for minion, text in offered))


def _texts(texts: Any) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts or ())


def boot_secret(opts: Mapping[str, Any]) -> str:
    """What the nonces of first boots are made from: known to whom has this master's private key; "" when it has none."""
    path = Path(opts["pki_dir"]) / "master.pem"
    return hmac.new(path.read_bytes(), b"saltlick boot", hashlib.sha256).hexdigest() if path.exists() else ""


def master_finger(opts: Mapping[str, Any], *, create: bool = False) -> str:
    """Fingerprint of this master's public key, for `master_finger` on minions; "" when it has none.

    With `create` a missing key pair is made, the way the master makes it when it first starts.
    """
    path = Path(opts["pki_dir"]) / "master.pub"
    if create and not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        salt.crypt.MasterKeys(dict(opts))
    return str(salt.utils.crypt.pem_finger(str(path), sum_type="sha256"))
