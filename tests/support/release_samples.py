"""Releases as a journal would have them, played on a tape: what the tests show, and what a person looks at.

`PYTHONPATH=tests python -m support.release_samples FOLDER` writes the page of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from operator import mul
from typing import Any

from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerRecord, ServerStatus, StepRecord

NEW = "f5d98594c2a7e0b1d3f6a8895c4e7b2013d6fa48"
OLD = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
OLDER = "77aa00bb11cc22dd33ee44ff5566778899aabbcc"
START = 1795356191.0  # 2026-11-22 14:03:11 UTC
WALK = (
    (Phase.DRAIN, 1.6, "drained, 0 sessions left"),
    (Phase.STOP, 0.5, ""),
    (Phase.ACTIVATE, 0.1, ""),
    (Phase.START, 0.8, ""),
    (Phase.HEALTH, 3.2, "3 of 3 checks well, 3 times in a row"),
    (Phase.RESTORE, 2.4, "in traffic and healthy, says the balancer"),
)


@dataclass
class Tape:
    """Plays steps one after the other, or on many servers at once, and keeps what the journal would."""

    servers: dict[str, ServerRecord]
    now: float = START
    steps: list[StepRecord] = field(default_factory=list)
    away: list[tuple[str, float, float]] = field(default_factory=list)

    def step(self, phase: Phase, seconds: float | None, name: str = "", **fields: Any) -> StepRecord:
        """One step from now on; without `seconds` it has not ended."""
        ended = None if seconds is None else round(self.now + seconds, 3)
        ok = None if seconds is None else fields.pop("ok", True)
        number = len(self.steps) + 1
        made = StepRecord(
            number=number,
            phase=phase,
            name=name or phase.value,
            started=round(self.now, 3),
            ended=ended,
            ok=ok,
            **fields,
        )
        self.steps.append(made)
        self.now += seconds or 0.0
        return made

    def at_once(self, servers: Sequence[str], play: Callable[[str], object]) -> None:
        """The same on several servers at the same time."""
        began, ends = self.now, []
        for name in servers:
            self.now = began
            play(name)
            ends.append(self.now)
        self.now = max(ends, default=began)

    def stand(self, name: str, standing: ServerStatus, detail: str = "") -> None:
        self.servers[name] = replace(self.servers[name], standing=standing, detail=detail)

    def walk(
        self, name: str, *, undo: bool = False, stop_at: Phase | None = None, why: str = "", fails_s: float = 30.0
    ):
        """One server through drain to restore; it fails at `stop_at`."""
        batch, gone = self.servers[name].batch, 0.0
        self.stand(name, ServerStatus.TOUCHED)
        for phase, seconds, detail in WALK:
            fails = phase is stop_at
            length = fails_s if fails else seconds * uneven(name + phase.value)
            self.step(phase, length, server=name, batch=batch, undo=undo, ok=not fails, detail=why if fails else detail)
            gone = gone or (self.now if phase is Phase.DRAIN else 0.0)
            if fails:
                self.away.append((name, gone, START + 1e6))
                return
        self.away.append((name, gone, self.now))
        self.stand(name, ServerStatus.UNDONE if undo else ServerStatus.DONE)

    def back(self, name: str) -> None:
        """One server back to what it had; its requests come again from then on."""
        was_away = [(who, start, end) for who, start, end in self.away if who == name and end > self.now]
        self.away = [absence for absence in self.away if absence not in was_away]
        self.walk(name, undo=True)
        self.away += [(who, start, self.now) for who, start, _ in was_away]

    def begin(self, *, build: float = 41.0) -> None:
        """What comes before the first batch."""
        self.step(Phase.PREFLIGHT, 1.3, detail=f"{len(self.servers)} servers answer and are healthy")
        self.at_once(
            list(self.servers),
            lambda name: self.step(Phase.BUILD, build * uneven(name), "bin/build", server=name),
        )
        first = next(iter(self.servers))
        self.step(
            Phase.ONCE, 4.2, "migrate", server=first, detail="3 migrations applied\n0017_orders\n0018_index\n0019_tags"
        )
        self.now += 0.4

    def requests(self, per_second: int = 140) -> tuple[tuple[str, float, int], ...]:
        """What each server's log would tell: those in traffic share it all."""
        counted = []
        absences = {name: [(start, end) for who, start, end in self.away if who == name] for name in self.servers}
        for second in range(int(START), int(self.now) + 1):
            here = [name for name, away in absences.items() if not any(start <= second <= end for start, end in away)]
            share = per_second * uneven(str(second), 0.12) / max(len(here), 1)
            counted += [(name, float(second), round(share * uneven(f"{name}{second}", 0.15))) for name in here]
        return tuple(counted)

    def record(self, result: Result = Result.DONE, **fields: Any) -> ReleaseRecord:
        """The journal's row: steps numbered as they began."""
        began = enumerate(sorted(self.steps, key=lambda step: (step.started, step.number)), start=1)
        steps = tuple(replace(step, number=number) for number, step in began)
        base = ReleaseRecord(
            id="prod-20261122T140311Z-f5d9859",
            environment="prod",
            application="shop",
            group="app",
            strategy="prepared",
            rev="v2.14.0",
            sha=NEW,
            who="ann",
            host="control-master-1",
            job="20261122140310123456",
            message="Baskets keep their vouchers (#482)",
            started=START,
            ended=None if result is Result.RUNNING else round(self.now, 3),
            result=result,
            servers=tuple(self.servers.values()),
            steps=steps,
        )
        return replace(base, **fields)


def uneven(key: str, by: float = 0.25) -> float:
    """About 1, and the same for the same key: no two servers take equally long."""
    value = sum(map(mul, key.encode(), count(7))) * 2654435761 % 1000
    return 1 + by * (value / 500 - 1)


def tape(count: int = 2, batches: Sequence[int] = (1,), *, previous: str = OLD) -> Tape:
    """`count` servers in two zones; the last size in `batches` repeats."""
    servers, number, batch = {}, 0, 0
    while number < count:
        batch += 1
        for _ in range(min(batches[min(batch, len(batches)) - 1], count - number)):
            number += 1
            zone = "us-east-1a" if number <= (count + 1) // 2 else "us-east-1b"
            name = f"prod-app-{number}"
            servers[name] = ServerRecord(name=name, zone=zone, batch=batch, previous=previous)
    return Tape(servers)


def of_batch(played: Tape, batch: int) -> list[str]:
    return [server.name for server in played.servers.values() if server.batch == batch]


def finish(played: Tape) -> None:
    played.step(Phase.FINISH, 0.7, "mark good, prune", detail="5 releases kept, 1 removed")


def done() -> ReleaseRecord:
    """Two servers, one after the other, with traffic."""
    played = tape()
    played.begin()
    for batch in (1, 2):
        played.at_once(of_batch(played, batch), played.walk)
    finish(played)
    return played.record(requests=played.requests())


def growing() -> ReleaseRecord:
    """Twelve servers as 1, 3, 8, a canary's soak of ten minutes between, two revisions before."""
    played = tape(12, (1, 3, 8))
    for name in ("prod-app-4", "prod-app-9"):
        played.servers[name] = replace(played.servers[name], previous=OLDER)
    played.begin(build=95.0)
    for batch in (1, 2, 3):
        played.at_once(of_batch(played, batch), played.walk)
        if batch == 1:
            played.step(Phase.WAIT, 600.0, "soak", batch=1, detail="the canary was healthy for 10 minutes")
    finish(played)
    return played.record(requests=played.requests(900), message="")


BROKEN = "http://127.0.0.1/health answered 500 for 30 s; last body: <h1>ImproperlyConfigured</h1> SECRET_KEY is not set"


def rolled_back() -> ReleaseRecord:
    """Six servers by two; in the second batch one is not healthy, and all four go back."""
    played = tape(6, (2,))
    played.begin()
    played.at_once(of_batch(played, 1), played.walk)
    played.at_once(
        of_batch(played, 2),
        lambda name: played.walk(name, stop_at=Phase.HEALTH if name == "prod-app-3" else None, why=BROKEN),
    )
    for batch in (2, 1):
        played.at_once(of_batch(played, batch), played.back)
    played.step(Phase.HOOK, 0.4, "on_rollback: notify.slack", undo=True)
    why = f"prod-app-3 was not healthy on f5d9859: {BROKEN}. All 4 servers that had been touched went back to a1b2c3d."
    return played.record(Result.ROLLED_BACK, reason=why, requests=played.requests(600))


def stuck() -> ReleaseRecord:
    """Four servers; the second fails, the first cannot go back."""
    played = tape(4, (1,))
    played.begin()
    played.walk("prod-app-1")
    played.walk("prod-app-2", stop_at=Phase.START, why="supervisord.start app:*: app: ERROR (spawn error)", fails_s=4.0)
    played.back("prod-app-2")
    gone = "no answer within 20 s; the server answered last at 14:04:09"
    played.walk("prod-app-1", undo=True, stop_at=Phase.STOP, why=gone, fails_s=20.0)
    played.stand("prod-app-1", ServerStatus.TOUCHED, gone)
    why = (
        "prod-app-2 did not start on f5d9859: supervisord.start app:*: app: ERROR (spawn error).\n"
        f"prod-app-1 could not go back: {gone}."
    )
    return played.record(Result.STUCK, reason=why, requests=played.requests(300))


def left_out() -> ReleaseRecord:
    """Eight servers, one failure allowed: it is left out; an operator skips another."""
    played = tape(8, (1, 3, 4))
    played.begin()
    dead = "no answer within 20 s"
    for batch in (1, 2, 3):
        chosen = [name for name in of_batch(played, batch) if name != "prod-app-7"]
        played.at_once(
            chosen,
            lambda name: played.walk(
                name, stop_at=Phase.START if name == "prod-app-3" else None, why=dead, fails_s=20.0
            ),
        )
    played.stand("prod-app-3", ServerStatus.LEFT_OUT, dead)
    played.stand("prod-app-7", ServerStatus.SKIPPED, "by bob: disk is being changed")
    finish(played)
    why = "prod-app-3 fell silent while starting: no answer within 20 s. One failure is allowed, so the rest went on."
    return played.record(Result.PARTIAL, reason=why, requests=played.requests(800))


def running() -> ReleaseRecord:
    """Six servers by two, in the middle of the second batch."""
    played = tape(6, (2,))
    played.begin()
    played.at_once(of_batch(played, 1), played.walk)
    began = played.now
    for name, ended in (("prod-app-3", 3), ("prod-app-4", 4)):
        played.now = began
        played.stand(name, ServerStatus.TOUCHED)
        for phase, seconds, detail in WALK[:ended]:
            played.step(phase, seconds, server=name, batch=2, detail=detail)
        played.step(WALK[ended][0], None, server=name, batch=2)
        played.away.append((name, began + 1.6, START + 1e6))
    played.now += 1.5
    return played.record(Result.RUNNING, requests=played.requests(600))


def refused() -> ReleaseRecord:
    """Nothing was touched: a server is unhealthy to begin with."""
    played = tape(3, (1,))
    why = "prod-app-2 is unhealthy now: http://127.0.0.1/health answered 502"
    played.step(Phase.PREFLIGHT, 1.4, ok=False, detail=why)
    return played.record(Result.REFUSED, reason=why)


def unbuilt() -> ReleaseRecord:
    """The revision does not build; no server was out of traffic."""
    played = tape(4, (2,))
    played.step(Phase.PREFLIGHT, 1.4)
    output = "npm ERR! code ERESOLVE\n" + "\n".join(f"npm ERR! line {n} of a long story" for n in range(40))
    played.at_once(
        list(played.servers),
        lambda name: played.step(
            Phase.BUILD,
            33.0,
            "npm.install",
            server=name,
            ok=name != "prod-app-4",
            detail=output if name[-1] == "4" else "",
        ),
    )
    return played.record(Result.ROLLED_BACK, reason="prod-app-4: npm.install failed: npm ERR! code ERESOLVE")


def unchanged() -> ReleaseRecord:
    """Every server had it."""
    played = tape(2, (1,), previous=NEW)
    played.step(Phase.PREFLIGHT, 0.9)
    return played.record(Result.UNCHANGED)


def in_place() -> ReleaseRecord:
    """The talk's way: four servers build while they are out."""
    played = tape(4, (2,))
    played.step(Phase.PREFLIGHT, 1.4)
    for batch in (1, 2):

        def play(name: str, batch: int = batch) -> None:
            began = 0.0
            for phase, seconds, detail in WALK:
                if phase is Phase.ACTIVATE:
                    played.step(phase, 2.0, "git.checkout", server=name, batch=batch)
                    played.step(Phase.BUILD, 38 * uneven(name), "buildout", server=name, batch=batch)
                    continue
                played.step(phase, seconds * uneven(name + phase.value), server=name, batch=batch, detail=detail)
                began = began or played.now
            played.away.append((name, began, played.now))
            played.stand(name, ServerStatus.DONE)

        played.at_once(of_batch(played, batch), play)
    finish(played)
    return played.record(strategy="in_place", requests=played.requests(240))


def many() -> ReleaseRecord:
    """200 servers by 1, 10 and then 25, with one failure allowed."""
    played = tape(200, (1, 10, 25))
    played.begin(build=120.0)
    for batch in range(1, max(server.batch for server in played.servers.values()) + 1):
        played.at_once(
            of_batch(played, batch),
            lambda name: played.walk(name, stop_at=Phase.HEALTH if name == "prod-app-77" else None, why=BROKEN),
        )
    played.stand("prod-app-77", ServerStatus.LEFT_OUT, BROKEN)
    finish(played)
    return played.record(Result.PARTIAL, reason=f"prod-app-77: {BROKEN}", requests=played.requests(9000))


HOSTILE = (
    '<script>fetch("http://evil.example/")</script><img src="http://evil.example/x.png"> & "quotes" \x1b[31mred\x1b[0m '
)


def hostile() -> ReleaseRecord:
    """Everything that people or servers wrote tries to be HTML, or is far too long."""
    record = rolled_back()
    long = HOSTILE + "x" * 900
    servers = tuple(
        replace(server, name=server.name if place else "prod-" + "verylongname-" * 8 + "1", detail=long)
        for place, server in enumerate(record.servers)
    )
    renamed = {record.servers[0].name: servers[0].name}
    return replace(
        record,
        message=long,
        reason=long + "\n" + "\n".join(f"line {n} {HOSTILE}" for n in range(30)),
        who=HOSTILE,
        rev=HOSTILE,
        servers=servers,
        steps=tuple(
            replace(
                step,
                detail=long if step.ok is False else HOSTILE,
                name=HOSTILE,
                server=renamed.get(step.server, step.server),
            )
            for step in record.steps
        ),
        requests=tuple((renamed.get(name, name), second, seen) for name, second, seen in record.requests),
    )


SAMPLES: dict[str, Callable[[], ReleaseRecord]] = {
    made.__name__: cache(made)  # records are frozen: one of each is enough
    for made in (
        done,
        growing,
        rolled_back,
        stuck,
        left_out,
        running,
        refused,
        unbuilt,
        unchanged,
        in_place,
        many,
        hostile,
    )
}


if __name__ == "__main__":
    import sys
    from pathlib import Path

    from saltlick.release.report import page

    for title, make in SAMPLES.items():
        (Path(sys.argv[1]) / f"{title}.html").write_text(page.html(make()), "utf-8")
