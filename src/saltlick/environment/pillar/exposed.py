"""What a production environment may not have: values that everybody can read, and code that anybody on the way can change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import BootAs
from saltlick.errors import Problem

EXAMPLE = "example-"
SOURCES = frozenset({"archive", "index", "mirror", "repository", "source", "sources", "url"})
"""Keys under which a pillar says where code or packages come from."""

_PLAIN = re.compile(r"(?:http|git|ftp)://(?!(?:127\.0\.0\.1|localhost|\[::1\])(?:[:/]|$))", re.IGNORECASE)
_SHA = re.compile(r"[0-9a-f]{40}")
_WAY_OUT = "`environment.insecure: true` allows it, for a sandbox only"


def exposed(environment: Environment, pillar: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Everything in a compiled pillar that a production environment is refused with. Nothing where it is `insecure`.

    Production has no value that begins with `example-`, no source of code over plain HTTP, git or FTP, and no `revision`
    beside a `repository` but a full SHA.
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


def _problems(value: Any, path: str, key: str = "") -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _problems(item, f"{path}.{name}" if path else str(name), str(name))
        if isinstance(value.get("repository"), str) and not _SHA.fullmatch(str(value.get("revision", ""))):
            yield Problem(
                f"{path}.revision", f"name a full SHA (40 digits): a branch or a tag can be moved. {_WAY_OUT}"
            )
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _problems(item, f"{path}[{number}]", key)
    elif isinstance(value, str):
        yield from _of_text(value, path, key)


def _of_text(value: str, path: str, key: str) -> Iterator[Problem]:
    if value.startswith(EXAMPLE):
        yield Problem(path, f"is an example that everybody can read: write a value of your own. {_WAY_OUT}")
    if key in SOURCES and _PLAIN.match(value):
        yield _plain(path)


def _plain(path: str) -> Problem:
    return Problem(path, f"whoever is on the way can change what it delivers: use https:// or ssh://. {_WAY_OUT}")
