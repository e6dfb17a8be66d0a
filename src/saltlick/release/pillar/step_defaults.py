"""What the steps of a recipe need not say: the folder and the user of a short step (`run`), and the environment of commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from saltlick.fleet.command_text import takes_environment
from saltlick.fleet.step import OnceStep, PlacedStep, Step, StepPlace
from saltlick.release.pillar.model import Hooks, Recipe, StrategyKind

S = TypeVar("S", bound=Step)

_SOURCE_FILE = "set -a; . {file}; set +a; "
"""Source: POSIX Shell Command Language, `set -a` and `.`: what the file assigns is in the environment of what follows."""
_OF_A_REVISION = frozenset({"build", "once"})


def with_defaults(recipe: Recipe) -> Recipe:
    """The recipe with everything said in the long form of each step, as the journal keeps it."""
    changed: dict[str, Any] = {
        name: tuple(_completed(step, recipe, _folder(recipe, name)) for step in getattr(recipe, name))
        for name in ("build", "once", "stop", "kill", "start")
    }
    return recipe.model_copy(update={**changed, "hooks": _hooks(recipe)})


def _hooks(recipe: Recipe) -> Hooks:
    """Those on the master are none of the application's: they keep what they say."""
    folder = _folder(recipe, "hooks")

    def completed(steps: Iterable[PlacedStep]) -> tuple[PlacedStep, ...]:
        return tuple(_completed(s, recipe, folder) if s.on is StepPlace.SERVER else s for s in steps)

    return recipe.hooks.model_copy(update={name: completed(getattr(recipe.hooks, name)) for name in Hooks.model_fields})


def _folder(recipe: Recipe, name: str) -> str:
    """Where the revision is that a step is about: its own folder while it is built, then what `current` points at."""
    if recipe.strategy.kind is StrategyKind.IN_PLACE:
        return "{directory}/source"
    return "{release}" if name in _OF_A_REVISION else "{directory}/current"


def _completed(step: S, recipe: Recipe, folder: str) -> S:
    kwargs = dict(step.kwargs)
    if takes_environment(step.call):
        kwargs |= _environment(recipe.environment, kwargs.get("env"))
    if step.run is not None:
        command = _command(step.run, recipe.env_file)
        kwargs = {"cmd": command, "cwd": folder, "runas": "{user}"} | kwargs | {"cmd": command}
    update: dict[str, Any] = {"kwargs": kwargs, "run": None, "cwd": None, "user": None, "env": None}
    if isinstance(step, OnceStep) and step.undo:
        update["undo"] = _completed(step.undo, recipe, folder)
    return step.model_copy(update=update)


def _environment(common: Mapping[str, str], own: Any) -> dict[str, Any]:
    """`env` of a command: what the recipe says for all, and what the step says, which wins."""
    if not common:
        return {}
    if isinstance(own, (list, tuple)):
        return {"env": [dict(common), *own]}
    return {"env": {**common, **own}} if isinstance(own, Mapping) else {"env": dict(common)} if own is None else {}


def _command(command: Any, file: str | None) -> Any:
    """A command that has the variables of a file on the server. The file is read there, by the shell, when the step runs."""
    if file is None:
        return command if isinstance(command, str) else list(command)
    read = _SOURCE_FILE.format(file=shlex.quote(file))
    return read + command if isinstance(command, str) else ["sh", "-c", f'{read}exec "$@"', "sh", *command]
