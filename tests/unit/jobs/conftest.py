"""Desks of different people and processes over one folder of locks."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.lock_world import Machine

from saltlick.jobs.lock import Locks


@pytest.fixture
def machine() -> Machine:
    return Machine(running={100: "t1", 200: "t2"})


@pytest.fixture
def desk(tmp_path: Path, machine: Machine):
    def make(user: str = "ann", pid: int = 100, host: str = "master", clock: FakeClock | None = None) -> Locks:
        processes = Machine(machine.running, pid)
        noon = datetime(2026, 11, 22, 12, 3, 11, tzinfo=timezone.utc)
        return Locks(
            folder=tmp_path / "locks",
            user=user,
            host=host,
            processes=processes,
            clock=clock or FakeClock(),
            today=lambda: noon,
        )

    return make
