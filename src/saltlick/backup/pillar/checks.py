"""Whether well-formed backups make sense beside the environment whose servers they are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.backup.pillar.model import BackupJobSpec, Backups
from saltlick.environment.pillar.checks.findings import PillarFinding, at, repeated, unknown
from saltlick.environment.pillar.model import Environment

HOUR_S = 3600


def findings(backups: Backups, stores: Mapping[str, Any], environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong."""
    for name, job in backups.jobs.items():
        where = ("jobs", name)
        yield from unknown([job.servers], environment.servers, "server group", (*where, "servers"), section="servers")
        yield from unknown([job.store], stores, "store", (*where, "store"), section="stores")
        yield from _ages(job, where)
        yield from repeated(job.directories or (), (*where, "directories"))
        if job.drill and job.drill.environment == environment.name and environment.production:
            yield at(
                *where, "drill", "environment", message=f"{environment.name} is marked production: rehearse elsewhere"
            )


def _ages(job: BackupJobSpec, where: tuple[str, ...]) -> Iterator[PillarFinding]:
    every = [timing.every_s for timing in (job.full, job.incremental) if timing and timing.every_s]
    if every and min(every) > job.max_age_s:
        message = f"{job.max_age_s} s are less than the {min(every)} s between two runs: it would be red in between"
        yield at(*where, "max_age_s", message=message)
    if job.splay_s and every and job.splay_s >= min(every):
        yield at(*where, "splay_s", message=f"{job.splay_s} s are as long as the {min(every)} s between two runs")
