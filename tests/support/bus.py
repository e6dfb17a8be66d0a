"""The one fake event bus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RecordingBus:
    """Keeps every event with its tag."""

    def __init__(self) -> None:
        self.fired: list[tuple[str, Mapping[str, Any]]] = []

    def fire(self, tag: str, content: Mapping[str, Any]) -> None:
        self.fired.append((tag, content))

    def close(self) -> None:
        """Nothing is open."""
