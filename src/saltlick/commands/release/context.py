"""What a release is about, from an environment's name: its recipe, its servers, and the ports that a rollout needs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.commands.context import declared_environment, master_ports
from saltlick.commands.job import open_store
from saltlick.environment.pillar import Environment, declared_servers, parse_environment
from saltlick.fleet.balancers import balancer
from saltlick.jobs.interrupts import Interrupts
from saltlick.release.context import ReleaseContext, ReleaseEvent, ReleaseServer
from saltlick.release.journal.store import Journal
from saltlick.release.pillar import parse_recipe
from saltlick.salt_io.pillar import pillar_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from saltlick.engine.ports import Cloud
    from saltlick.release.pillar import Overrides, Recipe


@dataclass(frozen=True, kw_only=True)
class ReleaseTarget:
    """One environment, the recipe for its application, and the servers of that group, fixed before any server is asked."""

    environment: Environment
    recipe: Recipe
    servers: tuple[ReleaseServer, ...]


def release_target(opts: Mapping[str, Any], name: object, overrides: Overrides | None = None) -> ReleaseTarget:
    """What the pillar of that environment says now.

    Raises: InvalidInput with every problem.
    """
    environment, pillar = declared_environment(opts, name)
    recipe = parse_recipe(pillar, environment, overrides)
    return ReleaseTarget(environment=environment, recipe=recipe, servers=release_servers(environment, recipe))


def release_servers(environment: Environment, recipe: Recipe) -> tuple[ReleaseServer, ...]:
    """The servers of the recipe's group with their zones, in order."""
    servers = declared_servers(environment)
    return tuple(ReleaseServer(server.name, server.zone) for server in servers if server.group == recipe.servers)


@contextlib.contextmanager
def open_journal(opts: Mapping[str, Any]) -> Iterator[Journal]:
    """The journal of this master's releases."""
    with open_store(opts) as store:
        yield Journal(store)


@contextlib.contextmanager
def release_context(
    opts: Mapping[str, Any],
    name: str,
    recipe: Recipe,
    *,
    notify: Callable[[ReleaseEvent], None] = lambda event: None,
    interrupts: Interrupts | None = None,
    environment: Environment | None = None,
) -> Iterator[ReleaseContext]:
    """Everything that a rollout needs. No server is asked anything yet.

    Without `environment`, the pillar is read when AWS is needed.

    Raises: NotReady where no master runs.
    """

    def declared() -> Environment:
        return environment or parse_environment(pillar_of(opts, name), environment=name)

    def cloud() -> Cloud:
        return aws.connect(declared().region)

    with open_journal(opts) as journal, master_ports(opts) as ports:
        yield ReleaseContext(
            fleet=ports.fleet,
            master=ports.master,
            balancer=balancer(recipe, ports.balancers(name, declared, cloud)),
            journal=journal,
            clock=ports.clock,
            notify=notify,
            interrupts=interrupts or Interrupts(),
        )
