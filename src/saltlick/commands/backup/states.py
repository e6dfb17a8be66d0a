"""Backups as states: what the commands of `backups` answer, as a state's return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.backup import commands
from saltlick.commands.state import state

if TYPE_CHECKING:
    from collections.abc import Mapping


def fresh(opts: Mapping[str, Any], name: str, *, job: str = "", jid: str = "") -> dict[str, Any]:
    """Whether every job is what the pillar promises."""

    def step() -> dict[str, Any]:
        answer = commands.freshness(opts, name, job=job, jid=jid)
        return {"result": not answer.retcode, "comment": answer.result.get("error") or "every job is fresh"}

    return state(name, step)


def taken(opts: Mapping[str, Any], name: str, *, job: str = "", mode: str = "full", jid: str = "") -> dict[str, Any]:
    """Take backups; under test=True, say which."""

    def step() -> dict[str, Any]:
        if opts.get("test"):
            jobs = [job] if job else list(commands.known_jobs(opts, name))
            return {"result": None, "comment": f"a {mode} backup would be taken of {', '.join(jobs)}"}
        answer = commands.run(opts, name, job=job, mode=mode, jid=jid)
        changes = {each["job"]: {"backup": each["id"], "size": each["size"]} for each in answer.result["backups"]}
        return {"result": not answer.retcode, "changes": changes, "comment": answer.result.get("error") or "done"}

    return state(name, step)
