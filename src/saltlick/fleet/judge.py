"""Whether a reply is good: what a server returned, judged by the step that asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from saltlick.fleet.ports import Reply
from saltlick.fleet.step import Step


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
        last_line = _last_line(value.get("stderr")) or _last_line(value.get("stdout"))
        return replace(reply, ok=False, error=f"exit code {value['retcode']}" + (f": {last_line}" if last_line else ""))
    if step.expect is not None and not re.search(step.expect, text_of(value), re.MULTILINE):
        return replace(reply, ok=False, error=f"{step.expect!r} is not in what it returned: {_short(text_of(value))}")
    return reply


def labelled(label: str, why: str) -> str:
    """What failed and why, each once: the reason that a call gives often begins with its own name."""
    if why.startswith(label):
        return why
    about, colon, rest = why.partition(": ")
    return f"{label}: {rest if colon and about in label.split() else why}"


def no_reply() -> Reply:
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
