"""Tells an address of somebody else's how a release goes. It may be a secret: nothing that is said here holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
import salt.utils.sdb

from saltlick.release.report import wording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from saltlick.release.journal.record import ReleaseRecord
    from saltlick.release.pillar.model import HookEvent, Webhook

TIMEOUT_S = (3.05, 6.0)
"""To connect, and for the answer: a release waits no longer than that for people who want to hear of it."""


class WebhookNotifier:
    """Posts JSON at the moments that the recipe names. What goes wrong with it is a remark, never a failure."""

    def __init__(self, opts: Mapping[str, Any], webhook: Webhook | None, remark: Callable[[str], None]) -> None:
        self._opts = opts
        self._webhook = webhook
        self._remark = remark

    def tell(self, moment: HookEvent, record: ReleaseRecord, text: str = "") -> None:
        """One moment of a release."""
        if self._webhook is None or moment not in self._webhook.on:
            return
        try:
            answer = requests.post(self._address(), json=content(moment, record, text), timeout=TIMEOUT_S)
            failed = f"it answered {answer.status_code}" if answer.status_code >= 400 else ""
        except Exception as error:  # of requests, of sdb's drivers; their text may hold the address
            failed = type(error).__name__
        if failed:
            self._remark(f"the webhook was not told that the release {moment.value}: {failed}")

    def _address(self) -> str:
        """The address itself; `sdb://` ones are looked up anew each time, on the master."""
        assert self._webhook
        url = self._webhook.url.get_secret_value()
        if not url.startswith("sdb://"):
            return url
        found = salt.utils.sdb.sdb_get(url, dict(self._opts))
        if not isinstance(found, str) or found == url:
            raise LookupError(url)
        return found


def content(moment: HookEvent, record: ReleaseRecord, text: str = "") -> dict[str, Any]:
    """What is posted. `text` is what chat services show; the rest is for programs."""
    said = text or wording.headline(record)
    return {
        "text": f"{record.environment} {record.application} {wording.from_to(record)} by {record.who}: {said}",
        "moment": moment.value,
        "release": record.id,
        "environment": record.environment,
        "application": record.application,
        "rev": record.rev,
        "sha": record.sha,
        "who": record.who,
        "message": record.message,
        "rollback": record.rollback,
        "result": record.result.value,
        "reason": record.reason,
        "servers": {server.name: server.standing.value for server in record.servers},
    }
