"""Posts release events to a webhook. Its address may be a secret, so no message and no log holds it."""

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
"""To connect, and for the answer. A release waits no longer than that."""


class WebhookNotifier:
    """Posts JSON for the events that the recipe names. A failed post is a remark, never a failed release."""

    def __init__(self, opts: Mapping[str, Any], webhook: Webhook | None, remark: Callable[[str], None]) -> None:
        self._opts = opts
        self._webhook = webhook
        self._remark = remark

    def post(self, event: HookEvent, record: ReleaseRecord, text: str = "") -> None:
        """Post one event."""
        if self._webhook is None or event not in self._webhook.on:
            return
        try:
            response = requests.post(self._address(), json=content(event, record, text), timeout=TIMEOUT_S)
            failed = f"it answered {response.status_code}" if response.status_code >= 400 else ""
        except Exception as error:  # of requests, of sdb's drivers; their text may hold the address
            failed = type(error).__name__
        if failed:
            self._remark(f"the webhook was not told that the release {event.value}: {failed}")

    def _address(self) -> str:
        """The address itself; `sdb://` ones are looked up on the master each time."""
        assert self._webhook
        url = self._webhook.url.get_secret_value()
        if not url.startswith("sdb://"):
            return url
        address = salt.utils.sdb.sdb_get(url, dict(self._opts))
        if not isinstance(address, str) or address == url:
            raise LookupError(url)
        return str(address)


def content(event: HookEvent, record: ReleaseRecord, text: str = "") -> dict[str, Any]:
    """What is posted. `text` is what chat services show; the rest is for programs."""
    summary = text or wording.headline(record)
    return {
        "text": f"{record.environment} {record.application} {wording.from_to(record)} by {record.who}: {summary}",
        "moment": event.value,
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
