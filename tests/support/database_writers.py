"""Clients that write to a PostgreSQL cluster all the time and log what was acknowledged, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import psycopg


@dataclass(frozen=True)
class Acknowledged:
    """One write that the database said it has: its number, and when that was known (monotonic seconds)."""

    number: int
    at: float


@dataclass
class Writer:
    """Inserts numbers over one connection string, one at a time; each number once, acknowledged or not.

    Start it as a context manager; `table` is made beforehand. A connection that fails is opened anew, as a pool does it.
    """

    conninfo: str
    table: str
    pause_s: float = 0.02
    acknowledged: list[Acknowledged] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                with psycopg.connect(self.conninfo, autocommit=True, connect_timeout=2) as connection:
                    while not self._stop.is_set():
                        number += 1
                        connection.execute(f"insert into {self.table} values (%s)", (number,))
                        self.acknowledged.append(Acknowledged(number, time.monotonic()))
                        self._stop.wait(self.pause_s)
            except psycopg.Error as error:
                self.errors.append(str(error))
                self._stop.wait(0.1)

    def longest_gap_s(self, since: float) -> float:
        """The longest time without an acknowledged write that ended after `since`."""
        times = [write.at for write in self.acknowledged]
        return max((later - earlier for earlier, later in pairwise(times) if later >= since), default=float("inf"))

    def wait_for_writes(self, after: float, within_s: float) -> float:
        """Seconds from `after` until a write is acknowledged. Raises: AssertionError when there is none within that time."""
        deadline = after + within_s
        while time.monotonic() < deadline:
            if self.acknowledged and self.acknowledged[-1].at > after:
                first = next(write.at for write in self.acknowledged if write.at > after)
                return first - after
            time.sleep(0.05)
        raise AssertionError(f"no write was acknowledged within {within_s} s; the last errors: {self.errors[-3:]}")


def overlap_s(writers: Sequence[Writer]) -> float:
    """For how long two servers acknowledged writes at once, each of `writers` bound to a server of its own.

    A server's turns are told apart by the others' acknowledgements: where A, B, A follow within a second, both were primaries.
    """
    turns = sorted((write.at, index) for index, writer in enumerate(writers) for write in writer.acknowledged)
    together = 0.0
    for (first, server), (second, next_server) in pairwise(turns):
        if server != next_server and second - first < 1.0:
            together += second - first
    return together
