"""What happened in an environment, whichever command did it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from saltlick.commands.arguments import Limit, Request
from saltlick.commands.context import single_environment
from saltlick.commands.job import open_store
from saltlick.commands.result import CommandResult
from saltlick.commands.terminal import local_zone
from saltlick.jobs import report
from saltlick.jobs.history import JobHistory


class JobHistoryRequest(Request):
    """The newest `limit` jobs; 0 is all."""

    limit: Limit = 20


def history(opts: Mapping[str, Any], request: JobHistoryRequest) -> CommandResult:
    """The jobs of an environment in order: deployments, releases, backups, refreshes, off-hours, and locks by hand."""
    environment = single_environment(opts, request.name)
    with open_store(opts) as store:
        entries = JobHistory(store).history(environment, limit=request.limit)
    now = time.time()
    return CommandResult(
        {"environment": environment, "jobs": report.table_data(entries)},
        lambda colour: report.table(entries, now=now, zone=local_zone(), colour=colour),
    )
