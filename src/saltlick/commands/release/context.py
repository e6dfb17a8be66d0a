"""What a release is about, from an environment's name: its recipe, its servers, and all the ports a rollout needs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.engine.wait import SystemClock
from saltlick.environment.pillar import Environment, declared_servers, parse_environment
from saltlick.errors import InvalidInput, NotReady
from saltlick.fleet.balancers import BalancerContext, balancer
from saltlick.jobs.interrupts import Interrupts
from saltlick.release.context import ReleaseContext, ReleaseEvent, ReleaseServer
from saltlick.release.journal.store import Journal
from saltlick.release.pillar import parse_recipe
from saltlick.salt_io.client import SaltClient
from saltlick.salt_io.fleet import FleetTimeouts, SaltFleet
from saltlick.salt_io.master_fleet import MasterFleet
from saltlick.salt_io.pillar import environment_names, pillar_of
from saltlick.salt_io.progress import master_publishes
from saltlick.salt_io.secrets import SecretResolvingFleet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from saltlick.engine.ports import Cloud
    from saltlick.release.pillar import Overrides, Recipe


@dataclass(frozen=True, kw_only=True)
class ReleaseTarget:
    """One environment, the recipe for its application, and the servers of that group, fixed before anybody is asked."""

    environment: Environment
    recipe: Recipe
    servers: tuple[ReleaseServer, ...]


def single_environment(opts: Mapping[str, Any], name: object) -> str:
    """The one environment that an argument names.

    Raises: InvalidInput.
    """
    found = environment_names(opts, name)
    if len(found) > 1:
        raise InvalidInput([f"one environment at a time, not {', '.join(found)}"], what="arguments")
    return found[0]


def release_target(opts: Mapping[str, Any], name: object, overrides: Overrides | None = None) -> ReleaseTarget:
    """What the pillar of that environment says now.

    Raises: InvalidInput with every problem.
    """
    one = single_environment(opts, name)
    pillar = pillar_of(opts, one)
    declared = parse_environment(pillar, environment=one)
    recipe = parse_recipe(pillar, declared, overrides)
    return ReleaseTarget(environment=declared, recipe=recipe, servers=release_servers(declared, recipe))


def release_servers(declared: Environment, recipe: Recipe) -> tuple[ReleaseServer, ...]:
    """The servers of the recipe's group with their zones, in order."""
    return tuple(ReleaseServer(one.name, one.zone) for one in declared_servers(declared) if one.group == recipe.servers)


def state_folder(opts: Mapping[str, Any]) -> Path:
    """Where this master keeps what it knows of releases."""
    return Path(opts["cachedir"]) / "saltlick"


@contextlib.contextmanager
def open_journal(opts: Mapping[str, Any]) -> Iterator[Journal]:
    """The journal of this master's releases."""
    journal = Journal(state_folder(opts) / "releases.sqlite")
    try:
        yield journal
    finally:
        journal.close()


@contextlib.contextmanager
def release_context(
    opts: Mapping[str, Any],
    name: str,
    recipe: Recipe,
    *,
    tell: Callable[[ReleaseEvent], None] = lambda news: None,
    interrupts: Interrupts | None = None,
    environment: Environment | None = None,
) -> Iterator[ReleaseContext]:
    """The world of a release. Nothing is asked of anybody yet; `environment` is read from the pillar when AWS is wanted.

    Raises: NotReady where no master runs, without whom no server can be told anything.
    """
    if not master_publishes(opts):
        raise NotReady(f"no salt-master runs here (nothing answers in {opts['sock_dir']}): nothing was touched")
    clock = SystemClock()
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(open_journal(opts))
        wire, here = SaltClient(opts), MasterFleet(opts, clock)
        stack.callback(wire.close)
        stack.callback(here.close)
        fleet = SecretResolvingFleet(SaltFleet(wire=wire, clock=clock, patience=FleetTimeouts.of(opts)), opts)
        master = SecretResolvingFleet(here, opts)

        def declared() -> Environment:
            return environment or parse_environment(pillar_of(opts, name), environment=name)

        def cloud() -> Cloud:
            return aws.connect(declared().region)

        yield ReleaseContext(
            fleet=fleet,
            master=master,
            balancer=balancer(recipe, BalancerContext(name, declared, fleet, master, cloud, clock)),
            journal=journal,
            clock=clock,
            tell=tell,
            interrupts=interrupts or Interrupts(),
        )
