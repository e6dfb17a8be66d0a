"""What a minion returned, as a reply: well or not, and if not, why, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltlick.fleet.ports import Reply
from saltlick.words import cleaned

LONGEST = 400
_PREFIXES = ("ERROR: ", "ERROR executing ")


def reply_of(function: str, content: Mapping[str, Any], duration_ms: int) -> Reply:
    """Judge a return by its codes; the value goes on whole, with what a command printed, but steers no terminal."""
    value = cleaned(content.get("return"))
    retcode = content.get("retcode", 0)
    if not retcode and content.get("success", True) is not False:
        return Reply(True, value, duration_ms=duration_ms)
    return Reply(False, value, error=why(function, value, retcode), duration_ms=duration_ms)


def why(function: str, value: object, retcode: object = 1) -> str:
    """One sentence out of whatever a failing function leaves behind: an exception's text, a traceback, a command's output.

    Source: `salt.minion.Minion._thread_return`; its codes say that it failed, only its text says why.
    """
    if isinstance(value, Mapping):
        return _short(_of_mapping(function, value, retcode))
    text = str(value if value is not None else "").strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return f"{function}: exit code {retcode}, and no word"
    if "Traceback (most recent call last)" in text:
        return _short(f"{function}: {lines[-1]}")
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            return _short(f"{function}: {' '.join(lines).removeprefix('ERROR: ')}")
    if lines[0].startswith("Passed invalid arguments") or "is not available" in lines[0]:
        return _short(lines[0])
    return _short(f"{function}: exit code {retcode}: {lines[-1]}")


def _of_mapping(function: str, value: Mapping[Any, Any], retcode: object) -> str:
    """A state's or command's dict; or the manual, which Salt sends along with "is not available"."""
    if function in value and "is not available" in str(value[function]):
        return str(value[function])
    retcode = value.get("retcode", retcode)
    for key in ("error", "comment", "stderr", "stdout"):
        lines = [line.strip() for line in str(value.get(key) or "").splitlines() if line.strip()]
        if lines:
            return f"{function}: {lines[-1]}" if key in {"error", "comment"} else _exit(function, retcode, lines[-1])
    return f"{function}: exit code {retcode}: {dict(value)}"


def _exit(function: str, retcode: object, line: str) -> str:
    return f"{function}: exit code {retcode}: {line}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
