"""From the compiled pillar to `OffHours`, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.environment.pillar.model import Environment
from saltlick.errors import InvalidInput, Problem
from saltlick.offhours.pillar.checks import findings
from saltlick.offhours.pillar.model import OffHours
from saltlick.schema.problems import as_written, path, problems
from saltlick.schema.readable import Readable

OFFHOURS_KEY = "offhours"


def parse_offhours(pillar: Mapping[str, Any], environment: Environment) -> OffHours:
    """The off-hours that a compiled pillar has, sound beside the environment that they switch.

    Raises:
        InvalidInput: for production, whatever stands there; else with every problem, each with its path.
    """
    require_not_production(environment)
    what, raw = f"pillar of {environment.name}", pillar.get(OFFHOURS_KEY)
    if not isinstance(raw, Mapping):
        raise InvalidInput([Problem(OFFHOURS_KEY, _nothing(raw, environment))], what=what)
    raw = {{True: "on", False: "off"}.get(name, name): value for name, value in raw.items()}  # YAML 1.1, and so Salt
    rest = Readable(raw, OffHours)
    all_problems = set(_senseless(rest, raw, environment))
    if rest.error:
        all_problems |= set(problems(rest.error, OffHours, raw, OFFHOURS_KEY))
    if all_problems or not rest.value:
        raise InvalidInput(sorted(all_problems), what=what)
    return rest.value


def require_not_production(environment: Environment) -> None:
    """Raises: InvalidInput for an environment that is marked production."""
    if environment.production:
        message = (
            f"{environment.name} is marked production: it is never switched off, whatever pillar, tags or arguments say"
        )
        raise InvalidInput([message], what=OFFHOURS_KEY)


def _senseless(rest: Readable[OffHours], raw: Mapping[str, Any], environment: Environment) -> Iterator[Problem]:
    """What makes no sense in the readable part, but for what the unreadable part may be the cause of."""
    for finding in findings(rest.value, environment) if rest.value else ():
        location = rest.original(finding.location)
        if not any(rest.concerns(place) for place in (location, *finding.lacks)):
            yield Problem(path(as_written(location, raw, ""), OFFHOURS_KEY), finding.message)


def _nothing(raw: Any, environment: Environment) -> str:
    if raw is None:
        return f"the pillar of {environment.name} has no off-hours (for the master: top file, '*_master')"
    return "this has to be a mapping of names to values"
