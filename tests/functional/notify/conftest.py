"""A master whose environment `one` tells a webhook."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.receivers import Webhook, declare, webhook
from support.salt_master import Master


@pytest.fixture
def received() -> Iterator[Webhook]:
    with webhook() as receiver:
        yield receiver


@pytest.fixture
def watched(master: Master, received: Webhook) -> Master:
    """`one` has its two small networks, and tells the webhook."""
    declare(master, {"targets": {"oncall": received.url}})
    return master
