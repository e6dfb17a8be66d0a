"""What operators say to a release that is under way, from any terminal: rows in its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.errors import InvalidInput, Problem
from saltlick.release import orders
from saltlick.release.orders import Order, Want
from saltlick.saltside.answer import Answer
from saltlick.saltside.locks import locks
from saltlick.saltside.subject import journal_of, one_name
from saltlick.saltside.typed import typed
from saltlick.saltside.underway import Caller

if TYPE_CHECKING:
    from collections.abc import Mapping


def pause(opts: Mapping[str, Any], name: object, *, reason: object = "", user: str = "") -> Answer:
    """Wait after the batch that is on its way."""
    return _order(opts, name, Want.PAUSE, user=user, reason=reason, will="waits after this batch, for release.promote")


def promote(opts: Mapping[str, Any], name: object, *, reason: object = "", user: str = "") -> Answer:
    """End a pause, a soak or a wait."""
    return _order(opts, name, Want.PROMOTE, user=user, reason=reason, will="goes on")


def abort(opts: Mapping[str, Any], name: object, *, reason: object = "", user: str = "") -> Answer:
    """Take back what was touched."""
    return _order(opts, name, Want.ABORT, user=user, reason=reason, will="goes back")


def skip(opts: Mapping[str, Any], name: object, *, server: object = "", reason: object = "", user: str = "") -> Answer:
    """Leave a server on what it has."""
    said = typed(opts, "server", server)
    if not said:
        raise InvalidInput([Problem("server", "say which: server=prod-app-2")], what="arguments")
    return _order(opts, name, Want.SKIP, user=user, reason=reason, server=said, will=f"leaves {said} as it is")


def _order(
    opts: Mapping[str, Any], name: object, want: Want, *, user: str, reason: object, will: str, server: str = ""
) -> Answer:
    """Write an order; said loudly where nobody is there to read it."""
    environment, who = one_name(opts, name), Caller(user=user).who
    with journal_of(opts) as journal:
        release = orders.give(journal, environment, Order(want=want, who=who, server=server, reason=str(reason or "")))
    desk = locks(opts, user)
    holder = desk.read(environment)
    told: dict[str, Any] = {"release": release, "order": want.value, "server": server, "heard": True}
    if holder is None or desk.stale(holder) or not holder.job:
        told["heard"] = False
        will = f"{will} once somebody takes it up: its process is gone (salt-run release.resume {environment})"
    return Answer(told, f"{release} {will}")
