"""From a step of the recipe to the call that a server gets: placeholders are filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.fleet.application import Application
from saltlick.fleet.health import HealthCheck, HealthSpec
from saltlick.fleet.ports import Call
from saltlick.fleet.step import Step

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

# `${WORD}` is the shell's, and braces around anything but one word (`{}`, `{ print $1 }`, `{a,b}`) are no placeholder.
_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill(step: Step, words: Mapping[str, Any]) -> Call:
    """The call of a step, for one server at one moment.

    `words` has a value for each placeholder that the step uses (`words_in`). What was filled in is never read again, so a value
    with braces, spaces or quotes stays what it is.

    Raises:
        KeyError: when the step uses a word that is not given.
    """
    args = tuple(fill_in(item, words) for item in step.args)
    return Call(step.call, args, {name: fill_in(item, words) for name, item in step.kwargs.items()})


def fill_in(value: Any, words: Mapping[str, Any]) -> Any:
    """A text, or all texts inside lists and mappings, with placeholders filled in; anything else as it is."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: str(words[match[1]]), value)
    if isinstance(value, Mapping):
        return {fill_in(name, words): fill_in(item, words) for name, item in value.items()}
    return [fill_in(item, words) for item in value] if isinstance(value, (list, tuple)) else value


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
    asked = {"runas": fill_in(check.user, words)} if check.user else {}
    return Call("health.command", (fill_in(check.command, words),), {**asked, **common})


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
