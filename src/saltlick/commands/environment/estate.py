"""From the names of environments to what shall be built: their pillars, their peers' pillars, the master's own key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick import kinds
from saltlick.environment.pillar import Boot, Environment, check_environment, expand_environment, parse_environment
from saltlick.environment.provision import Estate
from saltlick.errors import InvalidInput, Problem
from saltlick.salt_io.keys import master_finger
from saltlick.salt_io.pillar import environment_names, known_environments, pillar_of, with_grains

if TYPE_CHECKING:
    from collections.abc import Mapping


def environments_of(opts: Mapping[str, Any], name: object) -> dict[str, Environment]:
    """The named environments and, after them, the peers that they name; each sound in itself and beside its peers.

    Raises: InvalidInput with the problems of all of them at once.
    """
    names = environment_names(opts, name)
    opts = with_grains(opts)
    found: dict[str, Environment] = {}
    problems: list[Problem] = []
    _parse(opts, names, found, problems)
    _parse(opts, tuple(peer for one in tuple(found.values()) for peer in one.peers), found, problems)
    _require_none(problems, names)
    for one in names:
        _collect(problems, one, lambda one=one: check_environment(found[one], peers_of(found[one], found)))
    _require_none(problems, names)
    return found


NO_KEY_YET = "the-master-has-no-key-yet"


def load(opts: Mapping[str, Any], name: object, *, create_master_key: bool = False) -> Estate:
    """The estate of the named environments, several as one.

    `create_master_key` makes the master's key pair if it has none yet: servers are booted with its fingerprint. What
    only looks leaves that to what builds.

    Raises: InvalidInput.
    """
    names = environment_names(opts, name)
    found = environments_of(opts, name)
    finger = master_finger(opts, create=create_master_key) or NO_KEY_YET
    mine = [found[one] for one in names]
    return Estate(
        environments=names,
        region=_one_region(mine),
        resources=tuple(resource for one in mine for resource in _expand(one, found, finger)),
        peers=tuple(peer for peer in found if peer not in names),
        others=tuple(other for other in known_environments(opts) if other not in names),
        production=frozenset(one.name for one in mine if one.production),
        deadlines=dict.fromkeys(kinds.KINDS, float(max(one.deadlines.resource_s for one in mine))),
    )


def peers_of(environment: Environment, found: Mapping[str, Environment]) -> dict[str, Environment]:
    """The environments it wants to be connected with, by name."""
    return {peer: found[peer] for peer in environment.peers if peer in found}


def _expand(environment: Environment, found: Mapping[str, Environment], finger: str) -> Any:
    return expand_environment(environment, peers_of(environment, found), Boot(master_finger=finger))


def _parse(
    opts: Mapping[str, Any], names: tuple[str, ...], found: dict[str, Environment], problems: list[Problem]
) -> None:
    for name in dict.fromkeys(names):
        if name not in found:
            _collect(
                problems,
                name,
                lambda name=name: found.update({name: parse_environment(pillar_of(opts, name), environment=name)}),
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
    regions = {one.region: one.name for one in mine}
    if len(regions) > 1:
        raise InvalidInput(
            [Problem(f"{name}: environment.region", region) for region, name in regions.items()],
            what="environments in several regions cannot be one estate; name them one after another",
        )
    return mine[0].region
