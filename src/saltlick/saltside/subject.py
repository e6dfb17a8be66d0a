"""What a release is about, from an environment's name: its recipe, its servers, and all the ports a rollout needs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saltlick import aws, spec
from saltlick.engine.wait import SystemClock
from saltlick.errors import InvalidInput, NotReady
from saltlick.release.balancers import Ground, balancer
from saltlick.release.journal import Journal
from saltlick.release.stage import Interrupts, News, Server, Stage
from saltlick.saltside.fleet import Patience, SaltFleet
from saltlick.saltside.onmaster import OnMaster
from saltlick.saltside.pillar import names_of, pillar_of
from saltlick.saltside.progress import telling
from saltlick.saltside.sealed import Unsealed
from saltlick.saltside.wire import SaltWire
from saltlick.spec import release as recipes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from saltlick.engine.ports import Cloud
    from saltlick.spec.release import Overrides, Recipe


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One environment, the recipe for its application, and the servers of that group, fixed before anybody is asked."""

    environment: spec.Environment
    recipe: Recipe
    servers: tuple[Server, ...]


def one_name(opts: Mapping[str, Any], name: object) -> str:
    """The one environment that an argument names.

    Raises: InvalidInput.
    """
    found = names_of(opts, name)
    if len(found) > 1:
        raise InvalidInput([f"one environment at a time, not {', '.join(found)}"], what="arguments")
    return found[0]


def subject_of(opts: Mapping[str, Any], name: object, overrides: Overrides | None = None) -> Subject:
    """What the pillar of that environment says now.

    Raises: InvalidInput with every problem.
    """
    one = one_name(opts, name)
    pillar = pillar_of(opts, one)
    declared = spec.parse(pillar, environment=one)
    recipe = recipes.parse(pillar, declared, overrides)
    return Subject(environment=declared, recipe=recipe, servers=servers_of(declared, recipe))


def servers_of(declared: spec.Environment, recipe: Recipe) -> tuple[Server, ...]:
    """The servers of the recipe's group with their zones, in order."""
    return tuple(Server(one.name, one.zone) for one in spec.servers(declared) if one.group == recipe.servers)


def folder(opts: Mapping[str, Any]) -> Path:
    """Where this master keeps what it knows of releases."""
    return Path(opts["cachedir"]) / "saltlick"


@contextlib.contextmanager
def journal_of(opts: Mapping[str, Any]) -> Iterator[Journal]:
    """The journal of this master's releases."""
    journal = Journal(folder(opts) / "releases.sqlite")
    try:
        yield journal
    finally:
        journal.close()


@contextlib.contextmanager
def staged(
    opts: Mapping[str, Any],
    name: str,
    recipe: Recipe,
    *,
    tell: Callable[[News], None] = lambda news: None,
    interrupts: Interrupts | None = None,
    environment: spec.Environment | None = None,
) -> Iterator[Stage]:
    """The world of a release. Nothing is asked of anybody yet; `environment` is read from the pillar when AWS is wanted.

    Raises: NotReady where no master runs, without whom no server can be told anything.
    """
    if not telling(opts):
        raise NotReady(f"no salt-master runs here (nothing answers in {opts['sock_dir']}): nothing was touched")
    clock = SystemClock()
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(journal_of(opts))
        wire, here = SaltWire(opts), OnMaster(opts, clock)
        stack.callback(wire.close)
        stack.callback(here.close)
        fleet = Unsealed(SaltFleet(wire=wire, clock=clock, patience=Patience.of(opts)), opts)
        master = Unsealed(here, opts)

        def declared() -> spec.Environment:
            return environment or spec.parse(pillar_of(opts, name), environment=name)

        def cloud() -> Cloud:
            return aws.connect(declared().region)

        yield Stage(
            fleet=fleet,
            master=master,
            balancer=balancer(recipe, Ground(name, declared, fleet, master, cloud, clock)),
            journal=journal,
            clock=clock,
            tell=tell,
            interrupts=interrupts or Interrupts(),
        )
