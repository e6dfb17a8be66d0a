"""What a job reads that does not get a lock: who has it, and the next command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.jobs.holder import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saltlick.jobs.holder import Holder


def refusal(holder: Holder, *, stale: bool) -> str:
    """The environment is locked by another job or a person."""
    name = holder.environment
    unlock = f"salt-run environment.unlock {name}"
    if stale:
        next_step = f"Its process is gone and may have left work half done: look first, then `{unlock}`"
    elif holder.mode is Mode.MANUAL:
        next_step = f"Ask {holder.user}, or `{unlock} force=True`"
    else:
        next_step = f"It is at work: wait for it (lock_wait=600), or ask {holder.user}"
    return f"{name} is locked by {holder}. {next_step}"


def not_unlocked(holder: Holder) -> str:
    """Somebody wants to unlock what another has."""
    unlock = f"salt-run environment.unlock {holder.environment} force=True"
    if holder.mode is Mode.MANUAL:
        return f"{holder.environment} is locked by {holder}. Ask {holder.user}, or `{unlock}`"
    return f"{holder.environment} is locked by {holder}. It is at work, and would go on without the lock: `{unlock}`"


def being_read(readers: Sequence[Holder]) -> str:
    """Jobs that share the environment keep a job out that would change it."""
    name = readers[0].environment
    users = ", ".join(dict.fromkeys(reader.user for reader in readers))
    next_step = f"They are at work: wait for them (lock_wait=600), or ask {users}"
    return f"{name} is being read, so nothing may change it now: {names(readers)}. {next_step}"


def names(holders: Sequence[Holder]) -> str:
    """Several holders in one sentence."""
    return "; ".join(map(str, holders))


def taken_over(holder: Holder) -> str:
    """A lock that its job left behind was taken over."""
    which = "the lock that was kept" if holder.mode is Mode.MANUAL else "a stale lock, its process is gone"
    return f"took over {which}: {holder}"
