"""The lock of an environment, by hand: lock, unlock, and who has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltlick.commands.arguments import Flag, Remark, Request
from saltlick.commands.job import environment_locks, open_store
from saltlick.commands.result import CommandResult, plain
from saltlick.errors import InvalidInput, Problem
from saltlick.jobs.history import JobHistory
from saltlick.jobs.holder import Holder, Mode
from saltlick.jobs.lock import Locks
from saltlick.salt_io.pillar import environment_names


class LockRequest(Request):
    """Why the environment is locked."""

    message: Remark = ""


class UnlockRequest(Request):
    """`force` breaks the lock of another; `reason` says why."""

    force: Flag = False
    reason: Remark = ""


def lock(opts: Mapping[str, Any], request: LockRequest) -> CommandResult:
    """Lock environments by hand, until somebody unlocks them. A stale lock stays: its job may be half done."""
    if not request.message:
        raise InvalidInput([Problem("message", "say why, for those who are kept waiting")], what="arguments")
    locks = environment_locks(opts, request.caller.user)
    leases = [
        locks.take(name, reason=request.message, mode=Mode.MANUAL, over_stale=False)
        for name in environment_names(opts, request.name)
    ]
    holders = {lease.holder.environment: _data(locks, lease.holder) for lease in leases}
    for name in holders:
        _record(opts, request, name, action="lock", detail=request.message)
    return CommandResult({"locked": holders}, "\n".join(f"{name} is locked: {request.message}" for name in holders))


def unlock(opts: Mapping[str, Any], request: UnlockRequest) -> CommandResult:
    """Unlock environments by hand. The result and the history say whose lock it was."""
    locks = environment_locks(opts, request.caller.user)
    names = environment_names(opts, request.name)
    removed = {name: locks.unlock(name, force=request.force, reason=request.reason) for name in names}
    for name, holder in removed.items():
        if holder:
            _record(opts, request, name, action="unlock", detail=f"lock of {holder}", reason=request.reason)
    data = {name: _data(locks, holder) if holder else None for name, holder in removed.items()}
    return CommandResult({"unlocked": data}, "\n".join(_removed(name, holder) for name, holder in removed.items()))


def locked(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """Who has the environments."""
    locks = environment_locks(opts, request.caller.user)
    holders = {name: locks.read(name) for name in environment_names(opts, request.name)}
    data = {name: _data(locks, holder) if holder else None for name, holder in holders.items()}
    return CommandResult({"locked": data}, "\n".join(_held(locks, name, holder) for name, holder in holders.items()))


def _record(
    opts: Mapping[str, Any], request: Request, name: str, *, action: str, detail: str, reason: str = ""
) -> None:
    with open_store(opts) as store:
        history = JobHistory(store)
        number = history.begin(
            environment=name,
            feature="lock",
            action=action,
            detail=detail,
            user=request.caller.user,
            jid=request.caller.job_id,
        )
        history.end(number, outcome="done", reason=reason)


def _data(locks: Locks, holder: Holder) -> dict[str, Any]:
    return {**plain(holder), "stale": locks.stale(holder)}


def _removed(name: str, holder: Holder | None) -> str:
    return f"{name} is unlocked; it was locked by {holder}" if holder else f"{name} was not locked"


def _held(locks: Locks, name: str, holder: Holder | None) -> str:
    if holder is None:
        return f"{name} is not locked"
    return f"{name} is locked by {holder}" + (" (stale: its process is gone)" if locks.stale(holder) else "")
