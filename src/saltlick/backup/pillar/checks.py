"""Whether well-formed backups make sense beside the environment whose servers they are of."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from saltlick.backup.pillar.model import BackupJobSpec, Backups
from saltlick.environment.pillar.checks.findings import PillarFinding, at, repeated, unknown
from saltlick.environment.pillar.model import Environment

RESTORED = re.compile(r".+\.before-restore|\..+\.(restored|drill)")


def findings(backups: Backups, stores: Mapping[str, Any], environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong."""
    for name, job in backups.jobs.items():
        where = ("jobs", name)
        yield from unknown([job.servers], environment.servers, "server group", (*where, "servers"), section="servers")
        yield from unknown([job.store], stores, "store", (*where, "store"), section="stores")
        yield from _ages(job, where)
        yield from _folders(job.directories or (), (*where, "directories"))
        if job.drill and job.drill.environment == environment.name and environment.production:
            yield at(
                *where, "drill", "environment", message=f"{environment.name} is marked production: rehearse elsewhere"
            )


def _folders(directories: Sequence[str], where: tuple[str, ...]) -> Iterator[PillarFinding]:
    """Each folder is exchanged by itself when it is restored, so none may lie in another."""
    yield from repeated(directories, where)
    for number, written in enumerate(directories):
        folder = PurePosixPath(written)
        if written.startswith("//") or posixpath.normpath(written) != written:
            yield at(*where, number, message=f"{written} is written with `//`, `.` or `..` in it: write where it is")
        elif RESTORED.fullmatch(folder.name):
            yield at(*where, number, message=f"{written} is a name that restores use for what they put beside a folder")
        elif above := next((other for other in directories if PurePosixPath(other) in folder.parents), None):
            yield at(*where, number, message=f"{written} lies in {above}, which has it already")


def _ages(job: BackupJobSpec, where: tuple[str, ...]) -> Iterator[PillarFinding]:
    every = [timing.every_s for timing in (job.full, job.incremental) if timing and timing.every_s]
    if every and min(every) > job.max_age_s:
        message = f"{job.max_age_s} s are less than the {min(every)} s between two runs: it would be red in between"
        yield at(*where, "max_age_s", message=message)
    if job.splay_s and every and job.splay_s >= min(every):
        yield at(*where, "splay_s", message=f"{job.splay_s} s are as long as the {min(every)} s between two runs")
