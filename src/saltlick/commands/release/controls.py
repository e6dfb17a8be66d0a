"""What operators request of a release that is under way, from any terminal: rows in its journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltlick.commands.arguments import Remark, Request, Text
from saltlick.commands.context import single_environment
from saltlick.commands.job import environment_locks
from saltlick.commands.release.context import open_journal
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Problem
from saltlick.release.journal.control_request import ControlAction, ControlRequest
from saltlick.release.journal.controls import record_control


class PauseRequest(Request):
    """Why. The same for `promote` and `abort`."""

    reason: Remark = ""


class SkipRequest(PauseRequest):
    """The server that is left out."""

    server: Text = ""


def pause(opts: Mapping[str, Any], request: PauseRequest) -> CommandResult:
    """Wait after the batch that is on its way."""
    return _record(opts, request, ControlAction.PAUSE, effect="waits after this batch, for release.promote")


def promote(opts: Mapping[str, Any], request: PauseRequest) -> CommandResult:
    """End a pause, a soak or a wait."""
    return _record(opts, request, ControlAction.PROMOTE, effect="goes on")


def abort(opts: Mapping[str, Any], request: PauseRequest) -> CommandResult:
    """Take back what was touched."""
    return _record(opts, request, ControlAction.ABORT, effect="goes back")


def skip(opts: Mapping[str, Any], request: SkipRequest) -> CommandResult:
    """Leave a server on what it has."""
    if not request.server:
        raise InvalidInput([Problem("server", "say which: server=prod-app-2")], what="arguments")
    effect = f"leaves {request.server} as it is"
    return _record(opts, request, ControlAction.SKIP, server=request.server, effect=effect)


def _record(
    opts: Mapping[str, Any], request: PauseRequest, action: ControlAction, *, effect: str, server: str = ""
) -> CommandResult:
    """Record a request in the journal. The result says where no process is there to read it."""
    environment = single_environment(opts, request.name)
    control = ControlRequest(want=action, who=request.caller.user, server=server, reason=request.reason)
    with open_journal(opts) as journal:
        release = record_control(journal, environment, control)
    locks = environment_locks(opts, request.caller.user)
    holder = locks.read(environment)
    alive = holder is not None and not locks.stale(holder) and bool(holder.job)
    if not alive:
        effect = f"{effect} once it is resumed: its process is gone (salt-run release.resume {environment})"
    result = {"release": release, "order": action.value, "server": server, "heard": alive}
    return CommandResult(result, f"{release} {effect}")
