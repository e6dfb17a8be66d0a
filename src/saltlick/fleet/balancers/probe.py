"""Steps of a application that act on a server's traffic, or say how it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saltlick.fleet.application import Application
from saltlick.fleet.balancers.context import BalancerContext, words_of
from saltlick.fleet.judge import judged, labelled
from saltlick.fleet.placeholders import fill
from saltlick.fleet.ports import Call, Reply, Seen, Traffic
from saltlick.fleet.step import PlacedStep, StepPlace


@dataclass(frozen=True, slots=True)
class StepRunner:
    """Runs steps of a balancer for servers, where each step says."""

    ground: BalancerContext
    application: Application

    def run_one(self, step: PlacedStep, servers: Sequence[str]) -> dict[str, Reply]:
        """One step for each server, at once; replies judged as all steps are."""
        place = self.ground.master if step.on is StepPlace.MASTER else self.ground.fleet
        calls = {server: self._call(step, server) for server in servers}
        replies = place.run(calls, deadline_s=step.deadline_s) if calls else {}
        return {server: judged(reply, step) for server, reply in replies.items()}

    def all(self, steps: Sequence[PlacedStep], servers: Sequence[str]) -> dict[str, Reply]:
        """One step after the other; a server whose step failed has no more. The replies are those of each one's last step."""
        replies: dict[str, Reply] = {}
        for step in steps:
            going = [server for server in servers if server not in replies or replies[server].ok]
            for server, reply in self.run_one(step, going).items():
                replies[server] = reply if reply.ok else replace(reply, error=labelled(step.label, reply.error))
        return replies

    def look(self, step: PlacedStep) -> Callable[[Sequence[str]], dict[str, Seen]]:
        """A look at servers by that step."""
        return lambda servers: {server: seen_in(reply) for server, reply in self.run_one(step, servers).items()}

    def _call(self, step: PlacedStep, server: str) -> Call:
        return fill(step, words_of(self.application, self.ground.environment, server))


def seen_in(reply: Reply) -> Seen:
    """What a reply says of a server's traffic: `{"traffic": "draining", "sessions": 3}`, else good is in, and failed is out.

    Silence says nothing.
    """
    if reply.silent:
        return Seen(Traffic.UNKNOWN, reply.error or "no answer")
    value = reply.value if isinstance(reply.value, Mapping) else {}
    if "traffic" in value:
        return _seen_in_value(value)
    return Seen(Traffic.IN if reply.ok else Traffic.OUT, reply.error)


def _seen_in_value(value: Mapping[str, Any]) -> Seen:
    sessions = value.get("sessions")
    counted = sessions if isinstance(sessions, int) else None
    try:
        return Seen(Traffic(value["traffic"]), str(value.get("detail", "")), counted)
    except ValueError:
        choices = ", ".join(traffic.value for traffic in Traffic)
        return Seen(Traffic.UNKNOWN, f"it said {value['traffic']!r}, which is none of {choices}", counted)


def out_or_quiet(seen: Seen) -> bool:
    """Gone: out, or draining with nothing left."""
    return seen.traffic is Traffic.OUT or (seen.traffic is Traffic.DRAINING and seen.sessions == 0)
