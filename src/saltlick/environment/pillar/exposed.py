"""What a production environment may not have: values that everybody can read, and code that anybody on the way can change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import BootAs
from saltlick.errors import Problem

EXAMPLE = "example-"
KNOWN = frozenset({"admin", "change-me", "changeme", "example", "passw0rd", "password", "secret", "test"})
"""What everybody tries first, as the value of a secret."""
HEALTH = frozenset({"http"})
"""Keys of health checks: what answers there is judged, not run."""
NAMED_BY_HAND = frozenset({"release.source"})
"""Here a revision is named by whoever releases it."""

_PLAIN = re.compile(
    r"\s*(?:git\+)?(?:http|git|ftp)://(?!(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?:/|$))", re.IGNORECASE
)
_SECRET = re.compile(r"(?:pass(?:word|phrase|wd)?s?|secrets?|token|_key)$", re.IGNORECASE)
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WAY_OUT = "`environment.insecure: true` allows it, for a sandbox only"


def exposed(environment: Environment, pillar: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Everything in a compiled pillar that a production environment is refused with. Nothing where it is `insecure`.

    Production has no value that begins with `example-`, no address over plain HTTP, git or FTP but of health checks and of the
    machine itself, and no `revision` beside a `repository` but a full SHA.
    """
    if environment.insecure or not environment.production:
        return ()
    return tuple(_problems(pillar, ""))


def exposed_master(environment: Environment, repository: str = "") -> tuple[Problem, ...]:
    """What an environment is refused with that boots a master: every environment of that master hangs on its source.

    `repository` is what was given in place of the pillar's.
    """
    boots = any(group.boot is BootAs.MASTER for group in environment.servers.values())
    if environment.insecure or not boots:
        return ()
    source = repository or environment.salt.repository
    return (_plain("environment.salt.repository"),) if _PLAIN.match(source) else ()


def exposed_project(environment: Environment) -> tuple[Problem, ...]:
    """What the master of a production environment is refused with: a revision of this project that can be moved."""
    salt = {"repository": environment.salt.repository, "revision": environment.salt.revision}
    if environment.insecure or not environment.salt.repository:
        return ()
    return tuple(_moving(salt, "environment.salt"))


def insecure_on_aws(environment: Environment, emulated: bool) -> tuple[Problem, ...]:
    """`insecure` is refused where it would count: on AWS itself."""
    if not environment.insecure or emulated:
        return ()
    what = "is for a sandbox, and this is AWS: take the line out; what is refused then needs values of your own"
    return (Problem("environment.insecure", what),)


def _problems(value: Any, path: str, keys: tuple[str, ...] = ()) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _problems(item, f"{path}.{name}" if path else str(name), (*keys[-1:], str(name)))
        if isinstance(value.get("repository"), str) and path not in NAMED_BY_HAND:
            yield from _moving(value, path)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _problems(item, f"{path}[{number}]", keys)
    elif isinstance(value, str):
        yield from _of_text(value, path, keys)


def _moving(value: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if not _SHA.fullmatch(str(value.get("revision", ""))):
        yield Problem(f"{path}.revision", f"name a full SHA (40 digits): a branch or a tag can be moved. {_WAY_OUT}")


def _of_text(value: str, path: str, keys: tuple[str, ...]) -> Iterator[Problem]:
    """`keys` are the last two that lead to the text: a secret may stand under `password`, or by a name under `passwords`."""
    lowered = value.strip().lower()
    if lowered.startswith(EXAMPLE) or (lowered in KNOWN and any(map(_SECRET.search, keys))):
        yield Problem(path, f"is an example that everybody can read: write a value of your own. {_WAY_OUT}")
    elif not HEALTH.intersection(keys[-1:]) and _PLAIN.match(value):
        yield _plain(path)


def _plain(path: str) -> Problem:
    return Problem(path, f"whoever is on the way can change what it delivers: use https:// or ssh://. {_WAY_OUT}")
