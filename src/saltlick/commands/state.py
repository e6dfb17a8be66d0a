"""What a state returns, made from the result of a command. A state never raises, and says what it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.result import CommandResult, guarded
from saltlick.words import cleaned

if TYPE_CHECKING:
    from collections.abc import Callable


def state(name: str, step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A state's return; `step` gives its parts (`result`, `changes`, `comment`), its errors make it a failed one."""
    parts: dict[str, Any] = {}

    def run() -> CommandResult:
        parts.update(step())
        return CommandResult({})

    outcome = guarded(run)
    if outcome.retcode:
        parts = {"result": False, "comment": outcome.result["error"]}
    return {"name": name, "result": True, "changes": {}, "comment": "", **cleaned(parts)}


def result_text(result: CommandResult) -> str:
    """The words of a result, without colour: its text, else its error."""
    text = result.text if isinstance(result.text, str) else result.text(False)
    return text or str(result.result.get("error", ""))


def planned(data: dict[str, Any], comment: str) -> dict[str, Any]:
    """The parts of a state under test=True, from a plan's data: None while anything would change."""
    changes = {action["address"]: _change(action) for action in data["actions"] if action["action"] != "keep"}
    undecided = {action["address"] for action in data["actions"] if "undecided" in action}
    if undecided or data["missing"]:
        return {"result": False, "changes": changes, "comment": comment}
    return {"result": None if changes else True, "changes": changes, "comment": comment}


def applied(data: dict[str, Any], plan: dict[str, Any], comment: str) -> dict[str, Any]:
    """The parts of a state that was carried out, from the report's data; `changes` holds what was really done."""
    intended = {action["address"]: action for action in plan["actions"]}
    changes = {
        outcome["address"]: {
            **_change({**intended.get(outcome["address"], {}), **outcome}),
            "duration_ms": outcome["duration_ms"],
        }
        for outcome in data["outcomes"]
        if outcome["ok"] and outcome["action"] != "keep"
    }
    return {"result": not data["failed"], "changes": changes, "comment": comment}


def _change(action: dict[str, Any]) -> dict[str, Any]:
    wanted = ("action", "name", "id", "changes")
    return {key: action[key] for key in wanted if action.get(key) is not None}
