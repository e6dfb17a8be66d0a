"""The edge to Salt: what a command found becomes plain data with an exit code, and nothing is raised past it."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from saltlick.commands.terminal import colour_wanted
from saltlick.errors import InvalidInput, SaltlickError
from saltlick.terminal import painter
from saltlick.words import clean, cleaned, printable

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from saltlick.commands.arguments import Request
    from saltlick.jobs.request import Caller

log = logging.getLogger(__name__)
R = TypeVar("R", bound="Request")

INTERNAL_ERROR = 1


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command returns: `result` for machines (JSON-able, never with a key `data`), `text` for people."""

    result: dict[str, Any]
    text: str | Callable[[bool], str] = ""
    """The words, or what makes them from whether colour is wanted."""
    retcode: int = 0


def guarded(command: Callable[..., CommandResult], *args: Any, **kwargs: Any) -> CommandResult:
    """Run a command; an error becomes an answer that says so. Ctrl-C and SIGTERM go on up, they are not errors."""
    try:
        return command(*args, **kwargs)
    except SaltlickError as error:
        return _refusal(error)
    except Exception as error:
        # The last border before Salt, which takes a TypeError for wrong arguments and prints a traceback for the rest.
        log.exception("A defect in saltlick")
        return CommandResult(
            {"error": f"{type(error).__name__}: {error} (a defect in saltlick; see the log)"}, retcode=INTERNAL_ERROR
        )


def _refusal(error: SaltlickError) -> CommandResult:
    result: dict[str, Any] = {"error": str(error)}
    if isinstance(error, InvalidInput):
        result["problems"] = [str(problem) for problem in error.problems]
    return CommandResult(result, retcode=error.exit_code)


def run_command(
    opts: MutableMapping[str, Any],
    context: MutableMapping[str, Any],
    caller: Caller,
    command: Callable[[Mapping[str, Any], R], CommandResult],
    request: type[R],
    name: object,
    /,
    *positional: object,
    **keywords: object,
) -> dict[str, Any]:
    """Read what the operator typed into one `request`, run the command with it, and return Salt's answer.

    Runners pass on whatever they were called with: Salt itself answers a misspelt argument with the manual and exit 0.
    Both codes are set: `salt-run` exits with the returned one, an orchestration looks at the context's only.
    """
    result = guarded(lambda: command(opts, request.read(opts, caller, name, positional, **keywords)))
    context["retcode"] = result.retcode
    answer = {**cleaned(result.result), "retcode": result.retcode}
    if _for_people(opts):
        colour = colour_wanted(opts, sys.stdout)
        answer |= {"outputter": "saltlick_text", "text": _text(result, colour)}
    return answer


def _text(answer: CommandResult, colour: bool) -> str:
    """What is printed. Only a text that is made for a terminal has colours, and they are ours."""
    if not isinstance(answer.text, str):
        return printable(answer.text(colour), colour=colour)
    error = str(answer.result.get("error", ""))
    return clean(answer.text) or painter(colour)("✗", error)


def _for_people(opts: MutableMapping[str, Any]) -> bool:
    """Whether somebody typed `salt-run environment.…` without `--out`; an orchestration or a program wants data."""
    typed = opts.get("__cli") == "salt-run" and str(opts.get("fun", "")).partition(".")[0] not in {"", "state"}
    return typed and not opts.get("output")


def plain(value: Any) -> Any:
    """A value of the core as JSON and Salt's bus can carry it."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {spot.name: plain(getattr(value, spot.name)) for spot in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
