"""Who may use a sandbox from outside: whoever can read its access key. Web pages and other local users cannot."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from saltlick.errors import SaltlickError

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
FILE = "access_key"
LOOPBACK = ("127.0.0.1", "localhost")
HEADER = "Saltlick Credential={key}/"
"""The `Authorization` of calls that are not AWS's."""


def new_key() -> str:
    """A random access key id in AWS's form: 20 characters, 80 random bits."""
    return "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))


def ensure_key(directory: Path) -> str:
    """The access key of the sandbox in `directory`, made at the first call: mode 0600, of the user who called sudo.

    Raises: SaltlickError when others can read it.
    """
    try:
        handle = os.open(directory / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return read_key(directory)
    with os.fdopen(handle, "w") as file:
        file.write(new_key() + "\n")
        if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
            os.fchown(handle, int(os.environ["SUDO_UID"]), -1)
    return read_key(directory)


def read_key(directory: Path) -> str:
    """The access key of the sandbox in `directory`. Raises: SaltlickError when there is none, or others can read it."""
    path = directory / FILE
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW)) as file:
            mode, key = os.fstat(file.fileno()).st_mode, file.read().strip()
    except OSError as error:
        raise SaltlickError(f"{path} cannot be read ({error.strerror}): saltlick sandbox up makes it") from error
    if not key or not stat.S_ISREG(mode) or mode & 0o077:
        raise SaltlickError(f"{path} is empty or open to others: saltlick sandbox down, remove it, saltlick sandbox up")
    return key


def for_owner(application: Wsgi, key: str) -> Wsgi:
    """`application` for requests with `key` as their access key, from programs on this machine; 403 for all others.

    A browser says where a page's request comes from (`Origin`, `Sec-Fetch-Site`). A page that had its own name point
    here sends that name as `Host`. No answer carries CORS headers.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        problem = _foreign(environ) or _unknown(environ, key)
        if problem:
            return _refuse(environ, start_response, problem)
        return application(environ, _without_cors(start_response))

    return answer


def _foreign(environ: dict[str, Any]) -> str:
    if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") != "none":
        return "Web pages may not use this sandbox."
    hosts = [f"{name}:{environ['SERVER_PORT']}" for name in LOOPBACK]
    if environ.get("HTTP_HOST", "").lower() not in hosts:
        return f"This sandbox answers to {' and '.join(hosts)} only."
    return ""


def _unknown(environ: dict[str, Any], key: str) -> str:
    header = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2]
    query = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
    given = (header or query).partition("/")[0]
    if hmac.compare_digest(given.encode(), key.encode()):
        return ""
    return "This is not the access key of this sandbox: eval $(saltlick sandbox env)"


def _refuse(environ: dict[str, Any], start_response: Callable[..., Any], problem: str) -> list[bytes]:
    """403 in the form of the protocol that asks: JSON, EC2's or the query protocol's. `problem` has no markup in it."""
    kind, error = "text/xml", f"<Error><Code>AuthFailure</Code><Message>{problem}</Message></Error>"
    if "/ec2/" in environ.get("HTTP_AUTHORIZATION", ""):
        text = f"<Response><Errors>{error}</Errors><RequestID>refused</RequestID></Response>"
    elif "HTTP_X_AMZ_TARGET" in environ or environ.get("PATH_INFO", "").startswith("/_saltlick/"):
        kind, text = "application/json", json.dumps({"__type": "AuthFailure", "message": problem})
    else:
        text = f"<ErrorResponse>{error}<RequestId>refused</RequestId></ErrorResponse>"
    body = text.encode()
    # The body of the request stays unread: the connection cannot be used again.
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")]
    start_response("403 Forbidden", headers)
    return [body]


def _without_cors(start_response: Callable[..., Any]) -> Callable[..., Any]:
    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        kept = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
        return start_response(status, kept, *more)

    return start
