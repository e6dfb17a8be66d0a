"""From the compiled pillar to a `Refresh`, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.environment.pillar.checks.findings import PillarFinding, at, unknown
from saltlick.environment.pillar.model import Environment
from saltlick.errors import InvalidInput, Problem
from saltlick.refresh.pillar.model import NOTHING_PERSONAL, Refresh
from saltlick.schema.problems import path, problems
from saltlick.schema.readable import Readable

REFRESH_KEY = "refresh"


def parse_refresh(pillar: Mapping[str, Any], environment: Environment) -> Refresh:
    """What a compiled pillar has under `refresh`, for the environment that gets the data.

    Raises:
        InvalidInput: with every problem, each with its path; for an environment that is marked production, whatever it says.
    """
    what = f"pillar of {environment.name}"
    raw = pillar.get(REFRESH_KEY)
    if environment.production:
        message = f"{environment.name} is marked production: no other environment's data ever goes there"
        raise InvalidInput([Problem("environment.production", message)], what="refresh")
    if not isinstance(raw, Mapping):
        message = f"the pillar of {environment.name} has no `refresh` (for the master: top file, '*_master')"
        raise InvalidInput([Problem(REFRESH_KEY, message)], what=what)
    rest = Readable(raw, Refresh)
    all_problems = set(problems(rest.error, Refresh, raw, REFRESH_KEY)) if rest.error else set()
    for finding in _senseless(rest.value, environment) if rest.value else ():
        location = rest.original(finding.location)
        if not any(rest.concerns(place) for place in (location, *finding.lacks)):
            all_problems.add(Problem(path(location, REFRESH_KEY), finding.message))
    if all_problems or not rest.value:
        raise InvalidInput(sorted(all_problems), what=what)
    return rest.value


def _senseless(refresh: Refresh, environment: Environment) -> Iterator[PillarFinding]:
    yield from unknown([refresh.servers], environment.servers, "server group", ("servers",), section="servers")
    if refresh.application:
        groups = [refresh.application.servers]
        yield from unknown(groups, environment.servers, "server group", ("application", "servers"), section="servers")
    if refresh.source == environment.name:
        yield at("source", message=f"{refresh.source} cannot get its own data: that is what backup.restore is for")
    if refresh.mask == ():
        yield at("mask", message=f"say how people are made unrecognisable, or {NOTHING_PERSONAL}")
