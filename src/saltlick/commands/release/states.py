"""A release as a state, for orchestrations: its arguments come in the pillar that the operator gives along.

    salt-run state.orchestrate orch.release pillarenv=prod pillar='{"release": {"rev": "f5d9859"}}'

Salt merges that into the recipe, which has the same key; here the two are told apart again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saltlick.commands.release.commands import RollingRequest, rolling
from saltlick.commands.state import result_text, state
from saltlick.errors import InvalidInput, Problem
from saltlick.release.journal.record import ServerStatus
from saltlick.release.pillar import Recipe
from saltlick.salt_io.pillar import pillar_of, require_pillarenv
from saltlick.schema.problems import did_you_mean

if TYPE_CHECKING:
    from saltlick.commands.result import CommandResult
    from saltlick.jobs.request import Caller

KEY = "release"
ARGUMENTS = tuple(name for name in RollingRequest.arguments() if name != "test")


def rolled(opts: Mapping[str, Any], pillar: Mapping[str, Any], name: str, caller: Caller) -> dict[str, Any]:
    """Release the revision that the run's pillar names; with `test=True`, return the plan."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        test = bool(opts.get("test"))
        given = arguments(pillar, pillar_of(opts, name))
        result = rolling(opts, RollingRequest.read(opts, caller, name, **given, test=test))
        return _parts(result, test=test)

    return state(name, step)


def arguments(pillar: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What the operator gave along under `release`, beside the recipe as it is in git.

    Raises: InvalidInput for what is not an argument, and for a recipe that differs from the one in git.
    """
    given, recipe = pillar.get(KEY), recorded.get(KEY)
    given = given if isinstance(given, Mapping) else {}
    recipe = recipe if isinstance(recipe, Mapping) else {}
    others = {
        key for key, value in given.items() if key not in ARGUMENTS and not (key in recipe and recipe[key] == value)
    }
    problems = [Problem(f"{KEY}.{key}", _not_here(key)) for key in sorted(others)]
    if problems:
        raise InvalidInput(problems, what="arguments")
    return {"lock_wait": pillar.get("lock_wait", 0), **{key: given[key] for key in ARGUMENTS if key in given}}


def _not_here(key: str) -> str:
    if key in Recipe.model_fields:
        return f"is the recipe's, which is in git; what may be given along is {', '.join(ARGUMENTS)}"
    return f"is not an argument{did_you_mean(key, ARGUMENTS)}"


def _parts(result: CommandResult, *, test: bool) -> dict[str, Any]:
    text = result_text(result)
    if test:
        refused, changes = result.result["refused"], bool(result.result["batches"])
        return {"result": False if refused else None if changes else True, "comment": text}
    return {"result": result.retcode == 0, "changes": _changes(result.result), "comment": text}


def _changes(result: Mapping[str, Any]) -> dict[str, Any]:
    """Servers that run another revision than before."""
    return {
        name: {"old": server["previous"], "new": server["sha"]}
        for name, server in result.get("servers", {}).items()
        if server["standing"] == ServerStatus.DONE.value and server["sha"] != server["previous"]
    }
