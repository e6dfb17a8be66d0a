"""A service on the server itself that the balancer in front asks: stopped, the server gets no more requests.

The balancer takes a moment to notice, and `look` is how it tells; a server that is silent can only be seen to be out through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saltlick.fleet.application import Application
from saltlick.fleet.balancers.context import BalancerContext, Watch, drained, restored
from saltlick.fleet.balancers.pillar import ServiceSpec
from saltlick.fleet.balancers.probe import StepRunner, out_or_quiet
from saltlick.fleet.ports import Reply, Seen
from saltlick.fleet.step import PlacedStep, StepPlace


class ServiceBalancer:
    """A `Balancer` that stops and starts one service."""

    def __init__(self, spec: ServiceSpec, ground: BalancerContext, application: Application) -> None:
        self._spec = spec
        self._clock = ground.clock
        self._steps = StepRunner(ground, application)
        self._look = self._steps.look(spec.look or self._step("service.status"))

    def look(self, servers: Sequence[str]) -> Mapping[str, Seen]:
        return self._look(servers)

    def drain(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        """A silent server counts as out where `look` sees it there: whatever is in front has noticed."""
        replies = self._steps.run_one(self._step("service.stop"), servers)
        silent = [server for server, reply in replies.items() if reply.silent]
        stopped = [server for server, reply in replies.items() if reply.ok] + (silent if self._spec.look else [])
        watch = Watch(self._look, self._clock)
        gone = drained(watch, stopped, out_or_quiet, self._spec.drain_s)
        return replies | {s: reply for s, reply in gone.items() if s not in silent or s in watch.there_ms}

    def restore(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        replies = self._steps.run_one(self._step("service.start"), servers)
        stopped = [server for server, reply in replies.items() if reply.ok]
        return replies | restored(Watch(self._look, self._clock), stopped, self._spec.restore_s)

    def _step(self, function: str) -> PlacedStep:
        return PlacedStep.model_validate({"call": function, "args": (self._spec.service,), "on": StepPlace.SERVER})
