"""Any balancer that Salt has functions for: NetScaler, F5, a DNS service, a shell script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saltlick.release.balancers.ground import Ground, Watch, drained, restored
from saltlick.release.balancers.looking import Steps, out_or_quiet
from saltlick.release.ports import Reply, Seen
from saltlick.spec.release import Recipe
from saltlick.spec.release.balancing import Command


class CommandBalancer:
    """A `Balancer` of three kinds of steps: out, back, and how it stands."""

    def __init__(self, spec: Command, ground: Ground, recipe: Recipe) -> None:
        self._spec = spec
        self._clock = ground.clock
        self._steps = Steps(ground, recipe)
        self._look = self._steps.look(spec.look)

    def look(self, servers: Sequence[str]) -> Mapping[str, Seen]:
        return self._look(servers)

    def drain(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        replies = self._steps.all(self._spec.drain, servers)
        told = [server for server, reply in replies.items() if reply.ok]
        return replies | drained(Watch(self._look, self._clock), told, out_or_quiet, self._spec.drain_s)

    def restore(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        replies = self._steps.all(self._spec.restore, servers)
        told = [server for server, reply in replies.items() if reply.ok]
        return replies | restored(Watch(self._look, self._clock), told, self._spec.restore_s)
