"""What balancers stand on, and the waiting they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saltlick.engine.wait import until
from saltlick.errors import AwsError, WaitTimeout
from saltlick.fleet.ports import Fleet, Reply, Seen, Traffic

if TYPE_CHECKING:
    from saltlick.engine.ports import Clock, Cloud
    from saltlick.environment.pillar import Environment
    from saltlick.fleet.application import Application

LONGEST_S = 1.0
"""Between two looks: each second of it is a second out of traffic."""

Look = Callable[[Sequence[str]], Mapping[str, Seen]]


@dataclass(frozen=True, slots=True)
class BalancerContext:
    """The ports. `declared` and `cloud` are asked when they are needed, which is not for every kind."""

    environment: str
    declared: Callable[[], Environment]
    fleet: Fleet
    master: Fleet
    cloud: Callable[[], Cloud]
    clock: Clock


def words_of(application: Application, environment: str, server: str) -> dict[str, str]:
    """What placeholders stand for in the steps of a balancer (`fleet.placeholders.BALANCER_PLACEHOLDERS`)."""
    return {
        "environment": environment,
        "application": application.application,
        "server": server,
        "directory": application.source.directory,
        "user": application.source.user,
    }


def every(servers: Iterable[str], reply: Reply) -> dict[str, Reply]:
    """The same reply for each."""
    return dict.fromkeys(servers, reply)


class Watch:
    """Looks until servers are where they should be, and remembers when each was first seen there."""

    def __init__(self, look: Look, clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._began = clock.now()
        self.last: dict[str, Seen] = {}
        self.there_ms: dict[str, int] = {}

    def wait(self, servers: Sequence[str], done: Callable[[Seen], bool], deadline_s: float) -> None:
        """Returns when all are there, or the deadline has passed: `there_ms` has those that are. Never raises for AWS."""

        def probe() -> list[str]:
            waiting = [server for server in servers if server not in self.there_ms]
            self.last |= self._see(waiting)
            now_ms = self.milliseconds()
            self.there_ms |= {server: now_ms for server in waiting if done(self.last[server])}
            return [server for server in waiting if server not in self.there_ms]

        try:
            until(
                probe,
                lambda waiting: not waiting,
                what="the balancer",
                deadline_s=deadline_s,
                clock=self._clock,
                longest_s=LONGEST_S,
            )
        except WaitTimeout:
            return  # who is missing from `there_ms` was not seen there

    def milliseconds(self) -> int:
        """Since the watch began."""
        return round((self._clock.now() - self._began) * 1000)

    def _see(self, servers: Sequence[str]) -> dict[str, Seen]:
        """A look that AWS refuses is one that shows nothing: the next may."""
        try:
            return dict(self._look(servers)) if servers else {}
        except AwsError as error:
            return dict.fromkeys(servers, Seen(Traffic.UNKNOWN, str(error)))


def drained(watch: Watch, servers: Sequence[str], done: Callable[[Seen], bool], deadline_s: float) -> dict[str, Reply]:
    """Wait until servers that were told to go are out; who is not in time is out anyway, which the value says.

    `sessions` is in it where the balancer counts them: AWS and services do not.
    """
    watch.wait(servers, done, deadline_s)
    return {server: _gone(watch, server) for server in servers}


def _gone(watch: Watch, server: str) -> Reply:
    seen = watch.last[server]
    how = "drained" if server in watch.there_ms else "timed out"
    value: dict[str, Any] = {"how": how}
    if seen.sessions is not None:
        value["sessions"] = seen.sessions
    if seen.detail:
        value["detail"] = seen.detail
    return Reply(True, value, duration_ms=watch.there_ms.get(server, watch.milliseconds()))


def restored(watch: Watch, servers: Sequence[str], deadline_s: float, *, hopeless: str = "") -> dict[str, Reply]:
    """Wait until the balancer reports servers in traffic; `hopeless` is a detail that no waiting will change."""

    def settled(seen: Seen) -> bool:
        return seen.traffic is Traffic.IN or bool(hopeless and hopeless in seen.detail)

    watch.wait(servers, settled, deadline_s)
    return {server: _back(watch, server) for server in servers}


def _back(watch: Watch, server: str) -> Reply:
    seen, took_ms = watch.last[server], watch.there_ms.get(server, watch.milliseconds())
    if seen.traffic is Traffic.IN:
        return Reply(True, {"traffic": seen.traffic.value, "detail": seen.detail}, duration_ms=took_ms)
    shown = f"{seen.traffic.value}{f' ({seen.detail})' if seen.detail else ''}"
    return Reply(
        False, error=f"not in traffic after {took_ms / 1000:.0f} s; the balancer shows it {shown}", duration_ms=took_ms
    )
