"""Signatures and secrets with this minion's own key. Sibling of `saltlick_call`."""

import base64
import binascii
import json

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from salt.exceptions import CommandExecutionError

PURPOSE = b"saltlick reply 1\n"
"""Stands before what is signed: Salt itself signs with the same key, and one must never pass for the other."""
SEALED = "saltlick-sealed:"
"""How an encrypted secret begins: this, the address, the wrapped key and the token, with spaces between."""
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def private_key(path):
    """This minion's key."""
    try:
        return serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise CommandExecutionError(f"the minion's key {path} cannot be read: {type(error).__name__}") from None


def signed(key, facts):
    """The facts, which are plain, as JSON, with a signature of exactly these characters."""
    text = json.dumps(facts)
    signature = key.sign(PURPOSE + text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {"signed": text, "signature": base64.b64encode(signature).decode()}


def opened(key, value, secrets):
    """A value with the encrypted texts inside of it opened; `secrets` gets secret → address of each."""
    if isinstance(value, str):
        return _secret(key, value, secrets) if value.startswith(SEALED) else value
    if isinstance(value, dict):
        return {name: opened(key, item, secrets) for name, item in value.items()}
    return [opened(key, item, secrets) for item in value] if isinstance(value, (list, tuple)) else value


def _secret(key, text, secrets):
    try:
        address, wrapped, token = text.removeprefix(SEALED).rsplit(" ", 2)
        secret = Fernet(key.decrypt(base64.b64decode(wrapped), OAEP)).decrypt(token.encode()).decode()
    except (ValueError, InvalidToken, binascii.Error):
        raise CommandExecutionError("a secret of this call is not encrypted to this minion's key") from None
    secrets[secret] = address
    return secret


def plain(value):
    """A value as JSON has it, whatever a function returned."""
    if isinstance(value, dict):
        return {name if isinstance(name, str) else str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
