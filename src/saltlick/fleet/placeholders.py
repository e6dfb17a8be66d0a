"""From a step of the recipe to the call that a server gets: placeholders are filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.errors import InvalidInput, Problem
from saltlick.fleet import command_text
from saltlick.fleet.application import Application
from saltlick.fleet.health import HealthCheck, HealthSpec
from saltlick.fleet.ports import Call
from saltlick.fleet.step import Step
from saltlick.schema.problems import shown

PLACEHOLDERS = (
    "environment",
    "application",
    "server",
    "rev",
    "sha",
    "previous",
    "directory",
    "release",
    "user",
    "who",
    "id",
)
BALANCER_PLACEHOLDERS = ("environment", "application", "server", "directory", "user")
"""What a balancer knows: it stands there between releases too."""
HOOK_PLACEHOLDERS = ("servers", "seconds", "reason")
"""What hooks know besides: the servers in question (with commas), seconds since the start, and why it failed."""
_KNOWN = frozenset({*PLACEHOLDERS, *BALANCER_PLACEHOLDERS, *HOOK_PLACEHOLDERS})

# `${WORD}` is the shell's, and braces around anything but one word (`{}`, `{ print $1 }`, `{a,b}`) are no placeholder.
_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill(step: Step, words: Mapping[str, Any]) -> Call:
    """The call of a step, for one server at one moment.

    `words` has a value for each placeholder that the step uses (`words_in`). What was filled in is never read again, so a value
    with braces stays what it is. A command has all words in its environment too (`SALTLICK_SHA`).

    Raises:
        KeyError: when the step uses a word that is not given.
        InvalidInput: when a placeholder stands in the text of a command, or a value could be more than a word there.
    """
    if problems := [Problem(step.label, message) for _, message in misplaced(step)]:
        raise InvalidInput(problems, what="step")
    args = tuple(fill_in(item, words) for item in step.args)
    kwargs = {name: fill_in(item, words) for name, item in step.kwargs.items()}
    return Call(step.call, args, with_environment(step.call, (step.args, step.kwargs), kwargs, words))


def with_environment(function: str, texts: Any, kwargs: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """Named arguments with the words in `env`, where the function runs a command with these texts."""
    environment = command_text.environment_of(function, texts, kwargs.get("env"), words)
    return dict(kwargs) if environment is None else {**kwargs, "env": environment}


def misplaced(step: Step) -> Iterator[tuple[command_text.Place, str]]:
    """Placeholders that stand where a shell would read their value, with their place in the step and what to write instead."""
    texts = dict(command_text.program_texts(step))
    places: list[tuple[command_text.Place, Any]] = [(("args", number), value) for number, value in enumerate(step.args)]
    places += [(("kwargs", name), value) for name, value in step.kwargs.items()]
    for place, value in places:
        for word in dict.fromkeys(word for word in placeholders_in(value) if word in _KNOWN):
            if place in texts:
                yield place, command_text.advice(word, short=step.run is not None)
            elif word in command_text.FREE_TEXT and not command_text.takes_free_text(step, place):
                yield place, command_text.free_text_advice(word)
    env = step.kwargs.get("env", {})
    if command_text.is_command(step.call) and not isinstance(env, (Mapping, list, tuple)):
        yield (
            ("kwargs", "env"),
            "this has to be a mapping of names to values: placeholders come to commands that way too",
        )


def fill_in(value: Any, words: Mapping[str, Any]) -> Any:
    """A text, or all texts inside lists and mappings, with placeholders filled in; anything else as it is.

    Raises:
        KeyError: for a word that is not given.
        InvalidInput: for a value that is more than a word.
    """
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: _plain(match[1], words[match[1]]), value)
    if isinstance(value, Mapping):
        return {fill_in(name, words): fill_in(item, words) for name, item in value.items()}
    return [fill_in(item, words) for item in value] if isinstance(value, (list, tuple)) else value


def _plain(word: str, value: Any) -> str:
    if not command_text.is_plain(word, value):
        raise InvalidInput(
            [f"{{{word}}} is {shown(str(value))}, and a shell could read more than a word in it"], what="step"
        )
    return str(value)


def placeholders_in(value: Any) -> Iterator[str]:
    """The placeholders of a text, or of all texts inside lists and mappings."""
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from placeholders_in(name)
            yield from placeholders_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from placeholders_in(item)


def fill_check(check: HealthCheck, health: HealthSpec, words: Mapping[str, Any], *, delayed: bool = True) -> Call:
    """The call by which a server answers one question about itself; `delayed` after a start, else (pre-flight) at once."""
    common = {
        "successes": health.successes,
        "interval_s": health.interval_s,
        "timeout_s": health.timeout_s,
        "deadline_s": health.deadline_s,
        "readiness_delay_s": health.readiness_delay_s if delayed else 0,
    }
    if check.http:
        asked = {"status": check.status, "body": fill_in(check.body, words)}
        return Call("health.http", (fill_in(check.http, words),), {**asked, **common})
    if check.tcp:
        host, _, port = fill_in(check.tcp, words).rpartition(":")
        return Call("health.tcp", (host, int(port)), common)
    if problem := misplaced_in_check(check):
        raise InvalidInput([problem], what="health check")
    asked = {"runas": fill_in(check.user, words)} if check.user else {}
    named = with_environment("health.command", check.command, {**asked, **common}, words)
    return Call("health.command", (check.command,), named)


def misplaced_in_check(check: HealthCheck) -> str:
    """What is wrong with placeholders of a check's command, and what to write instead; empty where nothing is."""
    words = [word for word in placeholders_in(check.command) if word in _KNOWN]
    return command_text.advice(words[0]) if words else ""


def placeholders_now(application: Application, environment: str, server: str, sha: str) -> dict[str, str]:
    """The same for a server on a revision, whatever release put it there."""
    return {
        "environment": environment,
        "application": application.application,
        "server": server,
        "rev": sha,
        "sha": sha,
        "previous": sha,
        "directory": application.source.directory,
        "release": f"{application.source.directory}/releases/{sha}",
        "user": application.source.user,
        "who": "",
        "id": "",
    }
