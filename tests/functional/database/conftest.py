"""A webhook that listens, for what is told of databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.receivers import Webhook, webhook


@pytest.fixture
def received() -> Iterator[Webhook]:
    with webhook() as receiver:
        yield receiver
