"""The ports of this master: servers, the master itself, and what an environment's pillar says. No other file builds a fleet."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saltlick.engine.wait import SystemClock
from saltlick.environment.pillar import Environment, parse_environment
from saltlick.errors import InvalidInput, NotReady
from saltlick.fleet.balancers import BalancerContext
from saltlick.salt_io.client import SaltClient
from saltlick.salt_io.events import master_publishes
from saltlick.salt_io.fleet import FleetTimeouts, SaltFleet
from saltlick.salt_io.master_fleet import MasterFleet
from saltlick.salt_io.pillar import environment_names, pillar_of
from saltlick.salt_io.secrets import SealingFleet, SecretResolvingFleet
from saltlick.salt_io.signed import SignedReplies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from saltlick.engine.ports import Clock, Cloud
    from saltlick.fleet.ports import Fleet


@dataclass(frozen=True, kw_only=True)
class MasterPorts:
    """The servers and the master, with secrets in arguments resolved."""

    fleet: Fleet
    """Calls go to the server they are addressed to."""
    master: Fleet
    """Calls run on the master; the address says on whose behalf."""
    clock: Clock

    def balancers(
        self, environment: str, declared: Callable[[], Environment], cloud: Callable[[], Cloud]
    ) -> BalancerContext:
        """What the balancers of an environment stand on. `declared` and `cloud` are called when they are needed."""
        return BalancerContext(environment, declared, self.fleet, self.master, cloud, self.clock)


@contextlib.contextmanager
def master_ports(opts: Mapping[str, Any]) -> Iterator[MasterPorts]:
    """The ports of this master. No server is asked anything yet.

    Raises: NotReady where no master runs, because no server can be called without one.
    """
    if not master_publishes(opts):
        raise NotReady(f"no salt-master runs here (nothing answers in {opts['sock_dir']}): nothing was touched")
    clock = SystemClock()
    with contextlib.ExitStack() as stack:
        client, master = SaltClient(opts), MasterFleet(opts, clock)
        stack.callback(client.close)
        stack.callback(master.close)
        fleet = SaltFleet(client=client, clock=clock, check=SignedReplies(opts), timeouts=FleetTimeouts.of(opts))
        yield MasterPorts(fleet=SealingFleet(fleet, opts), master=SecretResolvingFleet(master, opts), clock=clock)


def single_environment(opts: Mapping[str, Any], name: object) -> str:
    """The one environment that an argument names.

    Raises: InvalidInput.
    """
    names = environment_names(opts, name)
    if len(names) > 1:
        raise InvalidInput([f"one environment at a time, not {', '.join(names)}"], what="arguments")
    return names[0]


def declared_environment(opts: Mapping[str, Any], name: object) -> tuple[Environment, dict[str, Any]]:
    """One environment as its pillar declares it, and the whole pillar.

    Raises: InvalidInput with every problem.
    """
    environment = single_environment(opts, name)
    pillar = pillar_of(opts, environment)
    return parse_environment(pillar, environment=environment), pillar
