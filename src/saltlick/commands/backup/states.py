"""Backups as states, made from the results of the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.backup.commands import BackupJobsRequest, TakeRequest, run
from saltlick.commands.backup.context import declared_backups
from saltlick.commands.backup.freshness import freshness
from saltlick.commands.state import state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.jobs.request import Caller


def fresh(opts: Mapping[str, Any], name: str, caller: Caller, **given: Any) -> dict[str, Any]:
    """Whether every job is what the pillar promises."""

    def step() -> dict[str, Any]:
        result = freshness(opts, BackupJobsRequest.read(opts, caller, name, **given))
        return {"result": not result.retcode, "comment": result.result.get("error") or "every job is fresh"}

    return state(name, step)


def taken(opts: Mapping[str, Any], name: str, caller: Caller, **given: Any) -> dict[str, Any]:
    """Take backups; under test=True, say which."""

    def step() -> dict[str, Any]:
        request = TakeRequest.read(opts, caller, name, **given)
        if opts.get("test"):
            jobs = [job.name for job in declared_backups(opts, name).chosen(request.job)]
            return {"result": None, "comment": f"a {request.mode} backup would be taken of {', '.join(jobs)}"}
        result = run(opts, request)
        changes = {
            backup["job"]: {"backup": backup["id"], "size": backup["size"]} for backup in result.result["backups"]
        }
        return {"result": not result.retcode, "changes": changes, "comment": result.result.get("error") or "done"}

    return state(name, step)
