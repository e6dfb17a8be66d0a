"""Parses the compiled pillar into an `Environment`, or raises with all problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.environment.pillar.checks import own_findings
from saltlick.environment.pillar.model import Environment
from saltlick.errors import InvalidInput, Problem
from saltlick.schema.problems import ENVIRONMENT_KEY, path, problems
from saltlick.schema.readable import Readable


def parse_environment(pillar: Mapping[str, Any], *, environment: str) -> Environment:
    """The environment that a compiled pillar declares, sound in itself (`check` compares it with its peers).

    `environment` is the name that was asked for: a pillar of another name is refused, so a mistyped `pillarenv` fails.

    Raises:
        InvalidInput: with every problem, each with its path.
    """
    what = f"pillar of {environment}"
    raw = pillar.get(ENVIRONMENT_KEY)
    if not isinstance(raw, Mapping):
        raise InvalidInput([Problem(ENVIRONMENT_KEY, _nothing(raw, environment))], what=what)
    rest = Readable(raw, Environment)
    all_problems = {*_misnamed(raw, environment), *_senseless(rest)}
    if rest.error:
        all_problems |= set(problems(rest.error, Environment, raw, ENVIRONMENT_KEY))
    if all_problems or not rest.value:
        raise InvalidInput(sorted(all_problems), what=what)
    return rest.value


def _senseless(rest: Readable[Environment]) -> Iterator[Problem]:
    """What makes no sense in the readable part, but for what the unreadable part may be the cause of."""
    for finding in own_findings(rest.value) if rest.value else ():
        location = rest.original(finding.location)
        if not any(rest.concerns(place) for place in (location, *finding.lacks)):
            yield Problem(path(location, ENVIRONMENT_KEY), finding.message)


def _nothing(raw: Any, environment: str) -> str:
    if raw is None:
        return f"the pillar of {environment} does not say what it consists of; is there an environment of that name?"
    return "this has to be a mapping of names to values"


def _misnamed(raw: Mapping[str, Any], environment: str) -> tuple[Problem, ...]:
    if (name := raw.get("name")) == environment or not isinstance(name, str):
        return ()
    return (
        Problem(f"{ENVIRONMENT_KEY}.name", f"{name} is not {environment}, which is the environment that was asked for"),
    )
