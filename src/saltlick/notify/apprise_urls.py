"""Apprise as a library: whether it takes an address, and one message to one address. No address is in any text that leaves.

Apprise is imported by the first call: it takes a third of a second, which commands without `notify` need not wait for.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from saltlick.schema.problems import did_you_mean

if TYPE_CHECKING:
    from saltlick.notify.message import Message

SECRET_SCHEME = "sdb://"  # noqa: S105 - where a secret is found, none itself
APP = "Saltlick"
_SCHEME = re.compile(r"([a-z0-9][a-z0-9+.-]*)://.+", re.IGNORECASE)
_SHORTEST_SECRET = 4
_WITH_ADDRESSES = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib")
_NOBODY = logging.NullHandler()
"""Without any handler Python prints warnings itself."""

Send = Callable[[str, "Message"], str]
"""Sends a message to an address. Returns why it was not delivered, empty where it was."""


def problem_of(url: str) -> str:
    """Why Apprise cannot send to an address, empty where it can. Nothing is sent; an `sdb://` address is not looked up."""
    match = _SCHEME.fullmatch(url)
    if match is None:
        return "this is not an address of Apprise (write it like mailto://…, slack://… or json://…)"
    if url.startswith(SECRET_SCHEME):
        return ""
    with _quiet():
        if _plugin(url) is not None:
            return ""
        known = _schemes()
    scheme = match[1].lower()
    if scheme not in known:
        return f"Apprise knows no service {scheme}://{_nearest(scheme, known)} (https://appriseit.com/services/)"
    return f"Apprise cannot read this {scheme}:// address: something is missing, or too much (https://appriseit.com/services/)"


def service(url: str) -> str:
    """The service of an address (`slack`), for people."""
    return url.partition("://")[0]


def send(url: str, message: Message) -> str:
    """Send a message to an address. Returns why it was not delivered, empty where it was."""
    with _quiet() as remarks:
        try:
            plugin = _plugin(url)
            if plugin is None:
                return problem_of(url)
            delivered = plugin.notify(title=message.title, body=message.body, notify_type=message.kind)
        except Exception as error:  # of any of Apprise's services: the border at which its error becomes a remark
            return type(error).__name__
    return "" if delivered else "; ".join(_without(url, remark) for remark in remarks) or "Apprise does not say why"


def _plugin(url: str) -> Any:
    from apprise import Apprise, AppriseAsset

    return Apprise.instantiate(url, asset=AppriseAsset(app_id=APP, app_desc=APP, app_url=""))


def _schemes() -> frozenset[str]:
    from apprise.manager_plugins import NotificationManager

    return frozenset(NotificationManager().schemas())  # type: ignore[no-untyped-call]


def _nearest(scheme: str, known: frozenset[str]) -> str:
    if scheme in {"http", "https"}:
        return f"; a webhook is written {'jsons' if scheme == 'https' else 'json'}://host/path"
    hint = did_you_mean(scheme, known)
    return hint if "did you mean" in hint else ""


def _without(url: str, remark: str) -> str:
    """A remark of Apprise's without any part of the address."""
    parts = sorted(set(re.split(r"[:/?&=@,;#\s]+", url.partition("://")[2])), key=len, reverse=True)
    for part in (part for part in parts if len(part) >= _SHORTEST_SECRET):
        remark = remark.replace(part, "…")
    return " ".join(remark.split())


class _Remarks(logging.Handler):
    def __init__(self, remarks: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._remarks = remarks

    def emit(self, record: logging.LogRecord) -> None:
        self._remarks.append(record.getMessage())


@contextmanager
def _quiet() -> Iterator[list[str]]:
    """Keep the logs of Apprise and of what it sends with: at debug they have whole addresses, and none may reach Salt's log.

    Apprise's warnings are the only place where it says why a message was not delivered.
    """
    remarks: list[str] = []
    handler = _Remarks(remarks)
    loggers = [logging.getLogger(name) for name in _WITH_ADDRESSES]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(handler if logger.name == "apprise" else _NOBODY)
    try:
        yield remarks
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
