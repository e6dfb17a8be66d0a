"""A release as a state, for orchestrations: its arguments come in the pillar that the operator gives along.

    salt-run state.orchestrate orch.release pillarenv=prod pillar='{"release": {"rev": "f5d9859"}}'

Salt merges that into the recipe, which has the same key; here the two are told apart again.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saltlick.commands.release.commands import rolling
from saltlick.commands.state import state
from saltlick.errors import InvalidInput, Problem
from saltlick.release.journal.record import ServerStatus
from saltlick.release.pillar import Recipe
from saltlick.salt_io.pillar import pillar_of, require_pillarenv
from saltlick.schema.problems import did_you_mean

if TYPE_CHECKING:
    from saltlick.commands.result import CommandResult

KEY = "release"
ARGUMENTS = tuple(
    name
    for name, one in inspect.signature(rolling).parameters.items()
    if one.kind is one.KEYWORD_ONLY and name not in {"job", "user", "test"}
)


def rolled(
    opts: Mapping[str, Any], pillar: Mapping[str, Any], name: str, *, job: str = "", user: str = ""
) -> dict[str, Any]:
    """Release the revision that the run's pillar names; with `test=True` say what that would be."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        given = arguments(pillar, pillar_of(opts, name))
        answer = rolling(opts, name, **given, test=bool(opts.get("test")), job=job, user=user)
        return _parts(answer, dry=bool(opts.get("test")))

    return state(name, step)


def arguments(pillar: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What the operator gave along under `release`, beside the recipe as it is in git.

    Raises: InvalidInput for what is no argument, and for a recipe that is meant to be another for this once.
    """
    found, recipe = pillar.get(KEY), recorded.get(KEY)
    found = found if isinstance(found, Mapping) else {}
    recipe = recipe if isinstance(recipe, Mapping) else {}
    meant = {
        key for key, value in found.items() if key not in ARGUMENTS and not (key in recipe and recipe[key] == value)
    }
    problems = [Problem(f"{KEY}.{key}", _not_here(key)) for key in sorted(meant)]
    if problems:
        raise InvalidInput(problems, what="arguments")
    given = {key: found[key] for key in ARGUMENTS if key in found}
    return {"lock_wait": pillar.get("lock_wait", 0), **given}


def _not_here(key: str) -> str:
    if key in Recipe.model_fields:
        return f"is the recipe's, which is in git; what may be given along is {', '.join(ARGUMENTS)}"
    return f"is not an argument{did_you_mean(key, ARGUMENTS)}"


def _parts(answer: CommandResult, *, dry: bool) -> dict[str, Any]:
    text = answer.text if isinstance(answer.text, str) else answer.text(False)
    if dry:
        refused, something = answer.result["refused"], bool(answer.result["batches"])
        return {"result": False if refused else None if something else True, "comment": text}
    return {"result": answer.retcode == 0, "changes": _changes(answer.result), "comment": text}


def _changes(told: Mapping[str, Any]) -> dict[str, Any]:
    """Servers that run something else than before."""
    return {
        server: {"old": one["previous"], "new": one["sha"]}
        for server, one in told.get("servers", {}).items()
        if one["standing"] == ServerStatus.DONE.value and one["sha"] != one["previous"]
    }
