"""Visitors: requests without a break, from those who keep their connection, those who make a new one each time, those who send
forms, and slow ones.

    with visitors(url) as visits: ...
    print(visits.summary())

Nobody asks twice: a kept connection that is closed under a request is a failed request. Source of the client: aiohttp, which
would repeat a GET then; it is told not to, as its own test client is. There is no public name for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp

LIMIT_S = 30.0
"""After how long without an answer a visitor gives up: longer than any balancer's own limit here."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: when it began (seconds of the epoch), how long it took, and what came of it."""

    kind: str
    began: float
    seconds: float
    status: int
    server: str = ""
    revision: str = ""
    error: str = ""

    @property
    def failed(self) -> bool:
        return self.status != 200


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who visits: how many of each kind at once, and the pause of each between two requests."""

    keeping: int = 4
    new: int = 4
    sending: int = 2
    slow: int = 2
    pause_s: float = 0.02
    slow_s: float = 1.5


@dataclass
class Visits:
    """All requests of a crowd."""

    visits: list[Visit] = field(default_factory=list)

    @property
    def failed(self) -> list[Visit]:
        return [visit for visit in self.visits if visit.failed]

    def revisions(self) -> dict[str, int]:
        """How many requests each revision answered."""
        return dict(Counter(visit.revision for visit in self.visits if not visit.failed))

    def summary(self) -> str:
        """One line: how many of which kind, how many failed, how long they took."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(v.kind for v in self.visits).items()))
        times = sorted(visit.seconds for visit in self.visits if visit.kind != "slow")
        if len(times) < 2:
            return f"{len(self.visits)} requests ({kinds}), {len(self.failed)} failed"
        last = statistics.quantiles(times, n=100)[98]
        return (
            f"{len(self.visits)} requests ({kinds}), {len(self.failed)} failed; "
            f"median {statistics.median(times) * 1000:.0f} ms, 99th percentile {last * 1000:.0f} ms, "
            f"longest {times[-1] * 1000:.0f} ms"
        )


@contextlib.contextmanager
def visitors(url: str, crowd: Crowd | None = None) -> Iterator[Visits]:
    """A crowd that visits an address for as long as the block lasts; requests under way at its end are waited for."""
    made, stop = Visits(), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_crowd(url, crowd or Crowd(), made, stop)), name="visitors", daemon=True
    )
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join(LIMIT_S + 10)


async def _crowd(url: str, crowd: Crowd, made: Visits, stop: threading.Event) -> None:
    kept, fresh = aiohttp.TCPConnector(limit=0), aiohttp.TCPConnector(limit=0, force_close=True)
    limit = aiohttp.ClientTimeout(total=LIMIT_S)
    async with (
        aiohttp.ClientSession(connector=kept, timeout=limit) as keeping,
        aiohttp.ClientSession(connector=fresh, timeout=limit) as new,
    ):
        for session in (keeping, new):
            session._retry_connection = False
        await asyncio.gather(
            *(_visitor("keep-alive", keeping, url, crowd.pause_s, made, stop) for _ in range(crowd.keeping)),
            *(_visitor("form", keeping, url, crowd.pause_s, made, stop) for _ in range(crowd.sending)),
            *(_visitor("new", new, url, crowd.pause_s, made, stop) for _ in range(crowd.new)),
            *(
                _visitor("slow", session, f"{url}?wait={crowd.slow_s}", crowd.pause_s, made, stop)
                for number in range(crowd.slow)
                for session in [(keeping, new)[number % 2]]
            ),
        )


async def _visitor(
    kind: str, session: aiohttp.ClientSession, url: str, pause_s: float, made: Visits, stop: threading.Event
) -> None:
    while not stop.is_set():
        made.visits.append(await _visit(kind, session, url))
        await asyncio.sleep(pause_s)


async def _visit(kind: str, session: aiohttp.ClientSession, url: str) -> Visit:
    began, clock = time.time(), time.monotonic()
    try:
        method, data = ("POST", {"note": "of a visitor"}) if kind == "form" else ("GET", None)
        async with session.request(method, url, data=data, headers={"Accept": "application/json"}) as answer:
            page = await answer.json(content_type=None) if answer.status == 200 else {}
            error = "" if answer.status == 200 else (await answer.text())[:200]
            status = answer.status
    except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as problem:
        return Visit(kind, began, time.monotonic() - clock, 0, error=f"{type(problem).__name__}: {problem}")
    seconds = time.monotonic() - clock
    return Visit(kind, began, seconds, status, page.get("server", ""), page.get("revision", ""), error)
