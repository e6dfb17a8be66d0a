"""From the compiled pillar to a `Recipe`, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.environment.pillar.model import Environment
from saltlick.errors import InvalidInput, Problem
from saltlick.release.pillar.checks import findings, primary
from saltlick.release.pillar.model import Recipe
from saltlick.release.pillar.overrides import Overrides, override
from saltlick.release.pillar.step_defaults import with_defaults
from saltlick.schema.problems import Location, as_written, path, problems
from saltlick.schema.readable import Readable

RELEASE_KEY = "release"


def parse_recipe(pillar: Mapping[str, Any], environment: Environment, overrides: Overrides | None = None) -> Recipe:
    """The recipe that a compiled pillar has under `release`, sound beside the environment whose servers it is for.

    `overrides` is what the operator said in place of the pillar (`batch=`, `canary=`, `group=`, `pause=`); a problem with that
    goes by the argument's name.

    Raises:
        InvalidInput: with every problem, each with its path.
    """
    what = f"pillar of {environment.name}"
    raw = pillar.get(RELEASE_KEY)
    if not isinstance(raw, Mapping):
        raise InvalidInput([Problem(RELEASE_KEY, _nothing(raw, environment))], what=what)
    raw, given = override(_with_words(raw), overrides or Overrides())
    rest = Readable(raw, Recipe)
    all_problems = set(_senseless(rest, raw, environment))
    if rest.error:
        all_problems |= set(problems(rest.error, Recipe, raw, RELEASE_KEY))
    if all_problems or not rest.value:
        raise InvalidInput(sorted(_by_argument(problem, given) for problem in all_problems), what=what)
    return _resolved(rest.value, environment)


def restore_recipe(text: str) -> Recipe:
    """The recipe that `Recipe.model_dump_json()` wrote: how the journal keeps it. A webhook's secret address is not in there."""
    return Recipe.model_validate_json(text)


def _with_words(raw: Any) -> Any:
    """YAML 1.1 reads the key `on` as true, and so does Salt."""
    if isinstance(raw, Mapping):
        return {"on" if name is True else name: _with_words(item) for name, item in raw.items()}
    return [_with_words(item) for item in raw] if isinstance(raw, (list, tuple)) else raw


def _senseless(rest: Readable[Recipe], raw: Mapping[str, Any], environment: Environment) -> Iterator[Problem]:
    """What makes no sense in the readable part, but for what the unreadable part may be the cause of."""
    for finding in findings(rest.value, environment) if rest.value else ():
        location = rest.original(finding.location)
        if not any(rest.concerns(item) for item in (location, *finding.lacks)):
            yield Problem(path(_spot(location, raw), RELEASE_KEY), finding.message)


def _spot(location: Location, raw: Mapping[str, Any]) -> Location:
    """Where in the pillar: a line of text has no inside, and a step's arguments may stand in such a line."""
    all_problems = as_written(location, raw, "")
    missing = (
        location[len(all_problems) : len(all_problems) + 1] if location[: len(all_problems)] == all_problems else ()
    )
    inside: Any = raw
    for step in all_problems:
        inside = inside[step]
    if not isinstance(inside, Mapping):
        return all_problems
    if missing in {("args",), ("kwargs",)} and (written := next((key for key in ("run", "call") if key in inside), "")):
        return (*all_problems, written)
    return (*all_problems, *missing)


def _resolved(recipe: Recipe, environment: Environment) -> Recipe:
    once = [step.model_copy(update={"primary": primary(step, environment, recipe)}) for step in recipe.once]
    return with_defaults(recipe.model_copy(update={"once": tuple(once)}))


def _by_argument(problem: Problem, given: Mapping[str, str]) -> Problem:
    for spot, argument in given.items():
        if problem.path.startswith(f"{RELEASE_KEY}.{spot}"):
            return Problem(argument, problem.message)
    return problem


def _nothing(raw: Any, environment: Environment) -> str:
    if raw is None:
        return f"the pillar of {environment.name} has no recipe for releases (for the master: top file, '*_master')"
    return "this has to be a mapping of names to values"
