"""Where the text of a command stands in a step, and what may be filled in there: nothing.

A value reaches a command as a variable of its environment (`SALTLICK_SHA`), as an item of a list that no shell reads, or as an
argument that is no program. Two rules hold by construction, whatever function a step calls: text of a command takes no
placeholder, and a value that is not free text has only characters that no shell gives a meaning to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

FREE_TEXT = frozenset({"reason", "who"})
"""Placeholders that anybody may have written, in any characters: the reason is often the last line that a program printed."""
VARIABLE = "SALTLICK_"

_PLAIN = re.compile(r"[A-Za-z0-9_./+@:,=#-]*")
"""Source: POSIX Shell Command Language, 2.2: none of these has a meaning inside of a word."""
_FIRST = re.compile(r"[#=~-]")
_COMMAND_MODULES = frozenset({"cmd", "cmdmod"})
_HEALTH_COMMAND = "health.command"
_NO_PROGRAM = frozenset({"cwd", "runas", "group", "env", "stdin", "umask", "timeout"})
"""Named arguments of commands that are data to them."""
_WITH_ENVIRONMENT = frozenset(
    {
        *(f"cmd.{name}" for name in ("run", "run_all", "run_bg", "run_chroot", "run_stderr", "run_stdout", "shell")),
        *(f"cmd.{name}" for name in ("retcode", "script", "script_retcode", "powershell", "powershell_all")),
        _HEALTH_COMMAND,
    }
)
"""Source: Salt 3008, `modules/cmdmod.py`: functions that take `env`."""
_MESSAGES = frozenset(
    {
        *(
            "event",
            "http",
            "mattermost",
            "msteams",
            "opsgenie",
            "pagerduty",
            "pagerduty_util",
            "pushover",
            "pushover_notify",
        ),
        *(
            "rocketchat",
            "slack",
            "slack_notify",
            "slack_webhook",
            "smtp",
            "telegram",
            "twilio_notify",
            "victorops",
            "xmpp",
        ),
    }
)
"""Modules and runners whose arguments are messages: only these may have free text among theirs."""

_OF_ONE_SERVER = frozenset({"server", "previous"})

Place = tuple[str | int, ...]


class Texts(Protocol):
    """A step: a function and its arguments."""

    @property
    def call(self) -> str: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, Any]: ...


def variable(word: str) -> str:
    """The variable in which a command finds a placeholder's value."""
    return f"{VARIABLE}{word.upper()}"


def is_command(function: str) -> bool:
    """Whether a function runs text that it gets as an argument."""
    module, dot, _ = function.partition(".")
    return (bool(dot) and module in _COMMAND_MODULES) or function == _HEALTH_COMMAND


def takes_environment(function: str) -> bool:
    """Whether a function runs a command and takes its environment as `env`."""
    return function in _WITH_ENVIRONMENT


def program_texts(step: Texts) -> Iterator[tuple[Place, Any]]:
    """The arguments of a step that are text of a command, with their place. An argument list that no shell reads is none.

    A function that is told to call a command (`salt.cmd cmd.run …`, `state.single cmd.run …`) may read any of its arguments so.
    """
    if _calls_a_command(step):
        yield from ((("args", number), value) for number, value in enumerate(step.args))
        yield from ((("kwargs", name), value) for name, value in step.kwargs.items())
        return
    if not is_command(step.call):
        return
    for number, value in enumerate(step.args):
        if not _is_word_list(value, step.kwargs):
            yield ("args", number), value
    for name, value in step.kwargs.items():
        if name not in _NO_PROGRAM and not (name == "cmd" and _is_word_list(value, step.kwargs)):
            yield ("kwargs", name), value


def takes_free_text(step: Texts, place: Place) -> bool:
    """Whether an argument of a step may hold what anybody may have written."""
    if is_command(step.call):
        return place[0] == "kwargs" and place[1] in {"env", "stdin"}
    return step.call.partition(".")[0] in _MESSAGES


def advice(word: str, *, short: bool = False) -> str:
    """Why a placeholder may not stand in the text of a command, and what to write; `short` for a step that is a `run`."""
    as_a_list = "write `run` as a list" if short else "give `cmd` as a list with `python_shell: false`"
    return (
        f'{{{word}}} would be read by a shell: write "${variable(word)}", which the command has in its environment, '
        f"or {as_a_list}"
    )


def free_text_advice(word: str) -> str:
    """Why free text may not be an argument of such a function, and what to write."""
    return (
        f"{{{word}}} is free text, which only commands get, in their environment, and functions that send messages: "
        f'write a command that reads "${variable(word)}"'
    )


def is_plain(word: str, value: object) -> bool:
    """Whether a value may be filled in for that placeholder: free text, or nothing that a shell or an option could be."""
    text = str(value)
    return word in FREE_TEXT or bool(_PLAIN.fullmatch(text) and not _FIRST.match(text))


def environment_of(function: str, texts: Any, given: Any, words: Mapping[str, Any]) -> Any:
    """What a command gets as `env`: what the step says, and the placeholders that are known. None where it takes none.

    Those that differ from server to server are there if one of the step's `texts` names them: same calls are one job of Salt.
    NUL cannot be in an environment, and line breaks are none of a reason's business.
    """
    if not takes_environment(function):
        return None
    named = {word for word in _OF_ONE_SERVER & words.keys() if variable(word) in str(texts)}
    known = {
        variable(word): " ".join(str(value).replace("\0", " ").split())
        for word, value in words.items()
        if word not in _OF_ONE_SERVER or word in named
    }
    if isinstance(given, (list, tuple)):
        return [known, *given]
    return {**known, **(given if isinstance(given, Mapping) else {})}


def _calls_a_command(step: Texts) -> bool:
    given = (*step.args, *step.kwargs, *step.kwargs.values())
    return not is_command(step.call) and any(isinstance(value, str) and is_command(value) for value in given)


def _is_word_list(value: Any, kwargs: Mapping[str, Any]) -> bool:
    return isinstance(value, (list, tuple)) and kwargs.get("python_shell") is False and "shell" not in kwargs
