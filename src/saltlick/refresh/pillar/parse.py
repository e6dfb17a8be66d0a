"""From the compiled pillar to a `Refresh`, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.environment.pillar.checks.findings import PillarFinding, at, unknown
from saltlick.environment.pillar.model import Environment
from saltlick.errors import InvalidInput, Problem
from saltlick.fleet.placeholders import misplaced, placeholders_in
from saltlick.fleet.step import AS_ROOT, Step
from saltlick.refresh.pillar.model import NOTHING_PERSONAL, Refresh
from saltlick.schema.problems import Location, did_you_mean, path, problems
from saltlick.schema.readable import Readable

REFRESH_KEY = "refresh"
PLACEHOLDERS = ("environment", "server")
"""What the steps of a refresh know."""


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
    yield from _steps(refresh)
    if refresh.mask == ():
        yield at("mask", message=f"say how people are made unrecognisable, or {NOTHING_PERSONAL}")


def _steps(refresh: Refresh) -> Iterator[PillarFinding]:
    """Placeholders of steps: those that there are, and none where a shell would read its value."""
    places: list[tuple[Location, tuple[Step, ...]]] = [(("after",), refresh.after)]
    if application := refresh.application:
        places += [(("application", "stop"), application.stop), (("application", "start"), application.start)]
    for where, steps in places:
        for number, step in enumerate(steps):
            for word in dict.fromkeys((*placeholders_in(step.args), *placeholders_in(step.kwargs))):
                if word not in PLACEHOLDERS:
                    message = f"{{{word}}} is no placeholder{did_you_mean(word, PLACEHOLDERS)}"
                    yield at(*where, number, message=message)
            if step.runs_as_root:
                yield at(*where, number, "run", message=AS_ROOT)
            for place, message in misplaced(step):
                yield at(*where, number, *place, message=message)
