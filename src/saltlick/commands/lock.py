"""The environment's lock for runners and orchestrations: the same files whether a runner or a state asks."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saltlick.commands.arguments import number_argument
from saltlick.commands.result import CommandResult, plain
from saltlick.errors import InvalidInput, Problem
from saltlick.jobs.holder import Holder, Mode
from saltlick.jobs.lock import Locks
from saltlick.salt_io.pillar import environment_names

if TYPE_CHECKING:
    from collections.abc import Mapping


def environment_locks(opts: Mapping[str, Any], user: str = "") -> Locks:
    """This master's locks. `user` is who Salt says is asking (`sudo_ann`), else who runs the process."""
    return Locks(folder=Path(opts["cachedir"]) / "saltlick" / "locks", user=user or getpass.getuser())


def wait_seconds(lock_wait: object) -> float:
    """How long to wait for another job's lock, as it was typed.

    Raises: InvalidInput for anything but a number from 0 up.
    """
    return number_argument("lock_wait", lock_wait, what="a number of seconds")


def lock(opts: Mapping[str, Any], name: object, *, message: str = "", user: str = "") -> CommandResult:
    """Lock environments by hand, until somebody unlocks them. A stale lock stays: what it was for may be half done."""
    if not message:
        raise InvalidInput([Problem("message", "say why, for those who are kept waiting")], what="arguments")
    desk = environment_locks(opts, user)
    held = [desk.take(one, reason=message, mode=Mode.MANUAL, over_stale=False) for one in environment_names(opts, name)]
    told = {one.holder.environment: _told(desk, one.holder) for one in held}
    return CommandResult({"locked": told}, "\n".join(f"{name} is locked: {message}" for name in told))


def unlock(
    opts: Mapping[str, Any], name: object, *, force: bool = False, reason: str = "", user: str = ""
) -> CommandResult:
    """Unlock environments by hand; whose lock it was is returned and written to the audit trail."""
    desk = environment_locks(opts, user)
    gone = {one: desk.unlock(one, force=force, reason=reason) for one in environment_names(opts, name)}
    told = {one: _told(desk, holder) if holder else None for one, holder in gone.items()}
    return CommandResult({"unlocked": told}, "\n".join(_gone(one, holder) for one, holder in gone.items()))


def locked(opts: Mapping[str, Any], name: object) -> CommandResult:
    """Who has the environments."""
    desk = environment_locks(opts)
    held = {one: desk.read(one) for one in environment_names(opts, name)}
    told = {one: _told(desk, holder) if holder else None for one, holder in held.items()}
    return CommandResult({"locked": told}, "\n".join(_held(desk, one, holder) for one, holder in held.items()))


def _told(desk: Locks, holder: Holder) -> dict[str, Any]:
    return {**plain(holder), "stale": desk.stale(holder)}


def _gone(name: str, holder: Holder | None) -> str:
    return f"{name} is unlocked; it was locked by {holder}" if holder else f"{name} was not locked"


def _held(desk: Locks, name: str, holder: Holder | None) -> str:
    if holder is None:
        return f"{name} is not locked"
    return f"{name} is locked by {holder}" + (" (stale: its process is gone)" if desk.stale(holder) else "")
