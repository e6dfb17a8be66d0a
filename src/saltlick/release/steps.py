"""From the steps of a recipe to replies of servers: placeholders filled in, values judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from saltlick.release.ports import Reply
from saltlick.release.record import ReleaseRecord, ServerRecord
from saltlick.spec.release import Recipe
from saltlick.spec.release.steps import Step


def words_for(
    recipe: Recipe, head: ReleaseRecord, server: ServerRecord | None, *, back: bool = False
) -> dict[str, str]:
    """What placeholders stand for; on the way `back`, `{sha}` and `{release}` are what the server had before."""
    previous = server.previous if server else ""
    sha = previous if back else head.sha
    return {
        "environment": head.environment,
        "application": head.application,
        "server": server.name if server else "",
        "rev": previous if back else head.rev,
        "sha": sha,
        "previous": head.sha if back else previous,
        "directory": recipe.source.directory,
        "release": f"{recipe.source.directory}/releases/{sha}",
        "user": recipe.source.user,
        "who": head.who,
        "id": head.id,
    }


def judged(reply: Reply, step: Step) -> Reply:
    """A reply that is good, and whose value is too.

    A value is bad when it is false, `{"result": false}`, has a `retcode` that is not zero, or lacks what `expect` looks for.
    """
    if not reply.ok:
        return reply
    value = reply.value
    if value is False or (isinstance(value, Mapping) and value.get("result", True) is False):
        return replace(reply, ok=False, error=f"it returned {_short(value)}")
    if isinstance(value, Mapping) and value.get("retcode", 0) != 0:
        said = _last_line(value.get("stderr")) or _last_line(value.get("stdout"))
        return replace(reply, ok=False, error=f"exit code {value['retcode']}" + (f": {said}" if said else ""))
    if step.expect is not None and not re.search(step.expect, text_of(value)):
        return replace(reply, ok=False, error=f"{step.expect!r} is not in what it returned: {_short(text_of(value))}")
    return reply


def text_of(value: Any) -> str:
    """What `expect` is looked for in: a command's output where the value is one."""
    if isinstance(value, Mapping) and "stdout" in value:
        return f"{value.get('stdout', '')}\n{value.get('stderr', '')}"
    return str(value)


def _last_line(text: Any) -> str:
    lines = str(text or "").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 120 else f"{text[:119]}…"
