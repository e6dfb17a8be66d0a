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
        next_step = f"Wait for it (lock_wait=600), ask {holder.user}, or if it is surely dead `{unlock} force=True`"
    return f"{name} is locked by {holder}. {next_step}"


def being_read(readers: Sequence[Holder]) -> str:
    """Jobs that share the environment keep a job out that would change it."""
    name = readers[0].environment
    next_step = f"Wait for it (lock_wait=600), or if it may be lost `salt-run environment.unlock {name} force=True`"
    return f"{name} is being read, so nothing may change it now: {names(readers)}. {next_step}"


def names(holders: Sequence[Holder]) -> str:
    """Several holders in one sentence."""
    return "; ".join(map(str, holders))


def taken_over(holder: Holder) -> str:
    """A lock that its job left behind was taken over."""
    which = "the lock that was kept" if holder.mode is Mode.MANUAL else "a stale lock, its process is gone"
    return f"took over {which}: {holder}"
