"""From the steps of a recipe to replies of servers: placeholders filled in, values judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from saltlick.release.ports import Reply
from saltlick.release.record import ReleaseRecord, ServerRecord, StepRecord
from saltlick.spec.release import Recipe
from saltlick.spec.release.steps import Step


def words_for(
    recipe: Recipe, head: ReleaseRecord, server: ServerRecord | None, *, back: bool = False
) -> dict[str, str]:
    """What placeholders stand for; on the way `back`, `{sha}` and `{release}` are what the server had before."""
    previous = server.previous if server else ""
    words = words_now(recipe, head.environment, server.name if server else "", previous if back else head.sha)
    words |= {"previous": head.sha if back else previous, "who": head.who, "id": head.id}
    return words if back else {**words, "rev": head.rev}


def words_now(recipe: Recipe, environment: str, server: str, sha: str) -> dict[str, str]:
    """The same for a server on a revision, whatever release put it there."""
    return {
        "environment": environment,
        "application": recipe.application,
        "server": server,
        "rev": sha,
        "sha": sha,
        "previous": sha,
        "directory": recipe.source.directory,
        "release": f"{recipe.source.directory}/releases/{sha}",
        "user": recipe.source.user,
        "who": "",
        "id": "",
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
    if step.expect is not None and not re.search(step.expect, text_of(value), re.MULTILINE):
        return replace(reply, ok=False, error=f"{step.expect!r} is not in what it returned: {_short(text_of(value))}")
    return reply


def told_of(label: str, why: str) -> str:
    """What failed and why, each said once: the reason that a call gives often begins with its own name."""
    if why.startswith(label):
        return why
    about, colon, rest = why.partition(": ")
    return f"{label}: {rest if colon and about in label.split() else why}"


def ended(step: StepRecord, reply: Reply | None, started: float, now: float) -> StepRecord:
    """A step with how it ended; where the fleet says how long a server took, by that."""
    reply = reply or no_word()
    took_s = reply.duration_ms / 1000
    ended = min(now, started + took_s) if reply.duration_ms else now
    return replace(step, ended=ended, ok=reply.ok, detail=_said(reply))


def _said(reply: Reply) -> str:
    if not reply.ok:
        return ("silent: " if reply.silent and "no answer" not in reply.error else "") + (
            reply.error or "no reason given"
        )
    value = reply.value
    if isinstance(value, Mapping) and "how" in value:
        return ", ".join([str(value["how"]), *(f"{value['sessions']} sessions" for _ in "1" if "sessions" in value)])
    return value if isinstance(value, str) and len(value) <= 200 and "\n" not in value else ""


def no_word() -> Reply:
    """A fleet must have a reply for each server; one that has none is taken for silence."""
    return Reply(False, error="the fleet had no reply of it", silent=True)


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
