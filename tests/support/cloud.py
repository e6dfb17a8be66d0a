"""The one fake cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from support.clock import FakeClock


@dataclass
class FakeCloud:
    """An AWS in which nobody expects a question. A test's own cloud overrides `call` and `read` with what it answers."""

    region: str = field(default="us-east-1", kw_only=True)
    clock: FakeClock = field(default_factory=FakeClock, kw_only=True)

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        raise AssertionError(f"nobody expects {service} {operation} {parameters}")

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        raise AssertionError(f"nobody expects {service} {operation} {parameters}")

    def reading(self) -> FakeCloud:
        return self

    def patient(self, deadline_s: float) -> FakeCloud:
        return self
