"""Commands, called as a runner calls them: what was typed becomes the command's request, and errors become its result."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from saltlick.commands.arguments import Request, caller
from saltlick.commands.result import CommandResult, guarded


def run_typed(
    command: Callable[..., CommandResult],
    opts: Mapping[str, Any],
    name: object = None,
    *,
    job_id: str = "",
    user: str = "",
    **typed: object,
) -> CommandResult:
    """Run a command of `saltlick.commands` with what an operator types."""
    request: type[Request] = getattr(sys.modules[command.__module__], command.__annotations__["request"])
    return guarded(lambda: command(opts, request.read(opts, caller(job_id, user), name, **typed)))
