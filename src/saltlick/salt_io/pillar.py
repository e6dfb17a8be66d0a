"""The pillar of one environment, compiled as Salt itself compiles it, or a sentence that says why there is none."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import salt.loader
import salt.pillar

from saltlick.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "environment"


def known_environments(opts: Mapping[str, Any]) -> tuple[str, ...]:
    """The environments that `pillar_roots` names, sorted; `base` is nobody's environment unless it has one."""
    return tuple(sorted(name for name in opts.get("pillar_roots") or {} if name not in {"base", "__env__"}))


def environment_names(opts: Mapping[str, Any], name: object) -> tuple[str, ...]:
    """The environments that an argument names: `prod`, `control,prod`, or a list.

    Raises: InvalidInput for none at all, and for one that is not in `pillar_roots`.
    """
    words = name.split(",") if isinstance(name, str) else list(name) if isinstance(name, (list, tuple)) else []
    names = tuple(dict.fromkeys(str(word).strip() for word in words))
    if not names or {"", "None"} & set(names):  # "None" is what a template makes of a `pillarenv` that nobody gave
        raise InvalidInput(
            [f"name an environment (pillarenv=… of an orchestration): {_choice(opts)}"], what="arguments"
        )
    unknown = [Problem(word, f"is not an environment; {_choice(opts)}") for word in names if not _exists(opts, word)]
    if unknown:
        raise InvalidInput(unknown, what="arguments")
    return names


def require_pillarenv(opts: Mapping[str, Any], name: object) -> None:
    """Refuse an orchestration whose templates saw another environment's pillar than the one it is about to change.

    Raises: InvalidInput.
    """
    environment_names(opts, name)
    seen = opts.get("pillarenv")
    if seen and seen != name:
        raise InvalidInput([f"this run has pillarenv={seen}, so it cannot change {name}"], what="arguments")


def pillar_of(opts: Mapping[str, Any], environment: str) -> dict[str, Any]:
    """The whole compiled pillar that the master itself gets with `pillarenv=<environment>`.

    Salt gives an empty pillar for an environment it does not know, without a word; here that is an error.

    Raises: InvalidInput when the environment is unknown, its pillar does not render or declares no environment.
    """
    environment_names(opts, environment)
    compiled = _compile(opts, environment)
    errors = [str(error) for error in compiled.get("_errors", ())]
    if errors:
        raise InvalidInput(errors, what=f"pillar of {environment}")
    _require_declared(compiled, environment)
    return compiled


def pillar_of_minion(opts: Mapping[str, Any], environment: str, minion: str) -> dict[str, Any]:
    """The whole compiled pillar that one minion of an environment gets, by its id alone.

    Raises: InvalidInput when it does not render.
    """
    compiled = _compile(opts, environment, minion)
    if errors := [str(error) for error in compiled.get("_errors", ())]:
        raise InvalidInput(errors, what=f"pillar of {minion}")
    return compiled


def with_grains(opts: Mapping[str, Any]) -> dict[str, Any]:
    """The same options with the master's grains: gathering them takes a fifth of a second, and one time serves all pillars."""
    options = dict(opts)
    return options if options.get("grains") else {**options, "grains": salt.loader.grains(copy.deepcopy(options))}


def _compile(opts: Mapping[str, Any], environment: str, minion: str = "") -> dict[str, Any]:
    """A fresh rendering: `pillar_cache` could hand out the pillar of before the last commit.

    Source: 3008's Pillar begins with `opts["pillar"]`; in an orchestration that is the pillar of the environment it is about.
    """
    own = {**copy.deepcopy(with_grains(opts)), "pillar_cache": False, "pillarenv": environment, "pillar": {}}
    grains = {**own["grains"], "id": minion} if minion else own["grains"]
    own["id"] = minion or own["id"]
    compiler = salt.pillar.get_pillar(own, grains, own["id"], pillarenv=environment)
    try:
        compiled = compiler.compile_pillar()
    finally:
        if hasattr(compiler, "destroy"):
            compiler.destroy()
    return dict(compiled)


def _require_declared(compiled: Mapping[str, Any], environment: str) -> None:
    if KEY not in compiled:
        hint = f"has no key `{KEY}` for the master: is it in its top file, for the environment {environment}?"
        raise InvalidInput([hint], what=f"pillar of {environment}")


def _exists(opts: Mapping[str, Any], environment: str) -> bool:
    roots = opts.get("pillar_roots") or {}
    return environment in roots or "__env__" in roots


def _choice(opts: Mapping[str, Any]) -> str:
    known = known_environments(opts)
    return f"pillar_roots has {', '.join(known)}" if known else "pillar_roots of the master names none"
