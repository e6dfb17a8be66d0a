"""Any balancer that Salt has functions for: NetScaler, F5, a DNS service, a shell script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saltlick.fleet.application import Application
from saltlick.fleet.balancers.context import BalancerContext, Watch, drained, restored
from saltlick.fleet.balancers.pillar import CommandSpec
from saltlick.fleet.balancers.probe import StepRunner, out_or_quiet
from saltlick.fleet.ports import Reply, Seen


class CommandBalancer:
    """A `Balancer` of three kinds of steps: out, back, and how it stands."""

    def __init__(self, spec: CommandSpec, ground: BalancerContext, application: Application) -> None:
        self._spec = spec
        self._clock = ground.clock
        self._steps = StepRunner(ground, application)
        self._look = self._steps.look(spec.look)

    def look(self, servers: Sequence[str]) -> Mapping[str, Seen]:
        return self._look(servers)

    def drain(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        replies = self._steps.all(self._spec.drain, servers)
        answering = [server for server, reply in replies.items() if reply.ok]
        return replies | drained(Watch(self._look, self._clock), answering, out_or_quiet, self._spec.drain_s)

    def restore(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        replies = self._steps.all(self._spec.restore, servers)
        answering = [server for server, reply in replies.items() if reply.ok]
        return replies | restored(Watch(self._look, self._clock), answering, self._spec.restore_s)
