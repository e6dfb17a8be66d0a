"""What a state returns, from what a command answered: a state never raises, and says what it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.result import CommandResult, guarded

if TYPE_CHECKING:
    from collections.abc import Callable


def state(name: str, step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A state's return; `step` gives its parts (`result`, `changes`, `comment`), its errors make it a failed one."""
    parts: dict[str, Any] = {}

    def run() -> CommandResult:
        parts.update(step())
        return CommandResult({})

    answer = guarded(run)
    if answer.retcode:
        parts = {"result": False, "comment": answer.result["error"]}
    return {"name": name, "result": True, "changes": {}, "comment": "", **parts}


def planned(told: dict[str, Any], comment: str) -> dict[str, Any]:
    """The parts of a state under test=True, from a plan's data: None while anything would change."""
    changes = {one["address"]: _change(one) for one in told["actions"] if one["action"] != "keep"}
    undecided = {one["address"] for one in told["actions"] if "undecided" in one}
    if undecided or told["missing"]:
        return {"result": False, "changes": changes, "comment": comment}
    return {"result": None if changes else True, "changes": changes, "comment": comment}


def applied(told: dict[str, Any], plan: dict[str, Any], comment: str) -> dict[str, Any]:
    """The parts of a state that was carried out, from the report's data; `changes` holds what was really done."""
    intended = {one["address"]: one for one in plan["actions"]}
    changes = {
        one["address"]: {**_change({**intended.get(one["address"], {}), **one}), "duration_ms": one["duration_ms"]}
        for one in told["outcomes"]
        if one["ok"] and one["action"] != "keep"
    }
    return {"result": not told["failed"], "changes": changes, "comment": comment}


def _change(action: dict[str, Any]) -> dict[str, Any]:
    wanted = ("action", "name", "id", "changes")
    return {key: action[key] for key in wanted if action.get(key) is not None}
