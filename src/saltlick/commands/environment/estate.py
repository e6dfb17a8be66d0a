"""From the names of environments to what shall be built: their pillars, their peers' pillars, the master's own key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from saltlick import aws, kinds
from saltlick.environment.pillar import (
    Boot,
    Environment,
    check_environment,
    declared_servers,
    expand_environment,
    parse_environment,
)
from saltlick.environment.pillar.exposed import exposed, exposed_master, exposed_project, insecure_on_aws
from saltlick.environment.provision import Estate
from saltlick.errors import InvalidInput, Problem
from saltlick.salt_io.keys import boot_secret, master_finger
from saltlick.salt_io.pillar import environment_names, known_environments, pillar_of, pillar_of_minion, with_grains

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def environments_of(opts: Mapping[str, Any], name: object) -> dict[str, Environment]:
    """The named environments and, after them, the peers that they name; each sound in itself and beside its peers.

    Raises: InvalidInput with the problems of all of them at once.
    """
    names = environment_names(opts, name)
    opts = with_grains(opts)
    environments: dict[str, Environment] = {}
    problems: list[Problem] = []
    _parse(opts, names, environments, problems)
    _parse(
        opts,
        tuple(peer for environment in tuple(environments.values()) for peer in environment.peers),
        environments,
        problems,
    )
    _require_none(problems, names)
    for checked in names:
        _collect(problems, checked, partial(_check, environments, checked))
    _require_none(problems, names)
    return environments


def _check(environments: Mapping[str, Environment], name: str) -> None:
    check_environment(environments[name], peers_of(environments[name], environments))


NO_KEY_YET = "the-master-has-no-key-yet"


def load(opts: Mapping[str, Any], name: object, *, builds: bool = False, create_master_key: bool = False) -> Estate:
    """The estate of the named environments, several as one.

    `create_master_key` makes the master's key pair if it has none yet: servers are booted with its fingerprint. What
    only looks leaves that to what builds. What `builds`, or says what would be built, is refused a production environment that
    is open to others; what looks or destroys is not.

    Raises: InvalidInput.
    """
    names = environment_names(opts, name)
    environments = environments_of(opts, name)
    if builds:
        _require_closed(opts, [environments[name] for name in names], environments)
    finger = master_finger(opts, create=create_master_key) or NO_KEY_YET
    boot = Boot(master_finger=finger, secret=boot_secret(opts))
    mine = [environments[name] for name in names]
    return Estate(
        environments=names,
        region=_one_region(mine),
        resources=tuple(resource for environment in mine for resource in _expand(environment, environments, boot)),
        peers=tuple(peer for peer in environments if peer not in names),
        others=tuple(other for other in known_environments(opts) if other not in names),
        production=frozenset(environment.name for environment in mine if environment.production),
        deadlines=dict.fromkeys(kinds.KINDS, float(max(environment.deadlines.resource_s for environment in mine))),
    )


def _require_closed(
    opts: Mapping[str, Any], mine: Iterable[Environment], environments: Mapping[str, Environment]
) -> None:
    """Refuse a production environment with values that everybody knows; asked of each server group's own pillar, too."""
    problems: dict[Problem, None] = {}
    for environment in mine:
        if environment.insecure:
            problems |= dict.fromkeys(insecure_on_aws(environment, aws.emulated(environment.region)))
        problems |= dict.fromkeys(exposed_master(environment))
        if environment.production and not environment.insecure:
            firsts = {server.group: server.name for server in reversed(declared_servers(environment))}
            pillars = [pillar_of(opts, environment.name)]
            pillars += [pillar_of_minion(opts, environment.name, server) for server in firsts.values()]
            problems |= dict.fromkeys(problem for pillar in pillars for problem in exposed(environment, pillar))
            for peer in peers_of(
                environment, environments
            ).values():  # one of them has the master, who is root everywhere
                problems |= dict.fromkeys((*exposed_master(peer), *exposed_project(peer)))
    if problems:
        raise InvalidInput(list(problems), what="a production environment, or a master's own")


def peers_of(environment: Environment, environments: Mapping[str, Environment]) -> dict[str, Environment]:
    """The environments it wants to be connected with, by name."""
    return {peer: environments[peer] for peer in environment.peers if peer in environments}


def _expand(environment: Environment, environments: Mapping[str, Environment], boot: Boot) -> Any:
    return expand_environment(environment, peers_of(environment, environments), boot)


def _parse(
    opts: Mapping[str, Any], names: tuple[str, ...], environments: dict[str, Environment], problems: list[Problem]
) -> None:
    for name in dict.fromkeys(names):
        if name not in environments:
            _collect(
                problems,
                name,
                lambda name=name: environments.update(
                    {name: parse_environment(pillar_of(opts, name), environment=name)}
                ),
            )


def _collect(problems: list[Problem], name: str, step: Any) -> None:
    try:
        step()
    except InvalidInput as error:
        problems += [
            Problem(f"{name}: {problem.path}" if problem.path else name, problem.message) for problem in error.problems
        ]


def _require_none(problems: list[Problem], names: tuple[str, ...]) -> None:
    if problems:
        raise InvalidInput(problems, what=f"pillar of {', '.join(names)}")


def _one_region(mine: list[Environment]) -> str:
    regions = {environment.region: environment.name for environment in mine}
    if len(regions) > 1:
        raise InvalidInput(
            [Problem(f"{name}: environment.region", region) for region, name in regions.items()],
            what="environments in several regions cannot be one estate; name them one after another",
        )
    return mine[0].region
