"""What operators say to a release that is under way, from any terminal: rows in its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.arguments import text_argument
from saltlick.commands.lock import environment_locks
from saltlick.commands.release.context import open_journal, single_environment
from saltlick.commands.release.job import Caller
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Problem
from saltlick.release.journal import controls
from saltlick.release.journal.controls import ControlAction, ControlRequest

if TYPE_CHECKING:
    from collections.abc import Mapping


def pause(opts: Mapping[str, Any], name: object, *, reason: object = "", user: str = "") -> CommandResult:
    """Wait after the batch that is on its way."""
    return _order(
        opts, name, ControlAction.PAUSE, user=user, reason=reason, will="waits after this batch, for release.promote"
    )


def promote(opts: Mapping[str, Any], name: object, *, reason: object = "", user: str = "") -> CommandResult:
    """End a pause, a soak or a wait."""
    return _order(opts, name, ControlAction.PROMOTE, user=user, reason=reason, will="goes on")


def abort(opts: Mapping[str, Any], name: object, *, reason: object = "", user: str = "") -> CommandResult:
    """Take back what was touched."""
    return _order(opts, name, ControlAction.ABORT, user=user, reason=reason, will="goes back")


def skip(
    opts: Mapping[str, Any], name: object, *, server: object = "", reason: object = "", user: str = ""
) -> CommandResult:
    """Leave a server on what it has."""
    said = text_argument(opts, "server", server)
    if not said:
        raise InvalidInput([Problem("server", "say which: server=prod-app-2")], what="arguments")
    return _order(opts, name, ControlAction.SKIP, user=user, reason=reason, server=said, will=f"leaves {said} as it is")


def _order(
    opts: Mapping[str, Any],
    name: object,
    want: ControlAction,
    *,
    user: str,
    reason: object,
    will: str,
    server: str = "",
) -> CommandResult:
    """Write an order; said loudly where nobody is there to read it."""
    environment, who = single_environment(opts, name), Caller(user=user).who
    with open_journal(opts) as journal:
        release = controls.record_control(
            journal, environment, ControlRequest(want=want, who=who, server=server, reason=str(reason or ""))
        )
    desk = environment_locks(opts, user)
    holder = desk.read(environment)
    told: dict[str, Any] = {"release": release, "order": want.value, "server": server, "heard": True}
    if holder is None or desk.stale(holder) or not holder.job:
        told["heard"] = False
        will = f"{will} once somebody takes it up: its process is gone (salt-run release.resume {environment})"
    return CommandResult(told, f"{release} {will}")
