"""The chain of backups that a restore is made of: described by its manifests, then fetched and verified. Sibling of `backup`."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_files as _files
except ImportError:
    from saltlick.modules import _saltlick_backup_files as _files


@dataclass(frozen=True)
class Order:
    """What `backup.restore` was asked for."""

    place: Any
    job: str
    chain: tuple
    until: str
    scripts: tuple
    checks: tuple
    swap: bool
    deadline_s: float


def manifest(place, job, backup, folder):
    """What a store says of a backup, before the backup is fetched into the folder.

    Raises: CommandExecutionError, also where there is no manifest.
    """
    place.get(job, backup, folder, only=_files.MANIFEST)
    if facts := _files.read(folder / _files.MANIFEST):
        return facts
    raise CommandExecutionError(f"store {place.name} has no finished backup {job}/{backup}")


def described(order, folder):
    """The manifests of a chain, in order, each of which follows on the one before. Raises: CommandExecutionError."""
    manifests, before = [], ""
    for backup in order.chain:
        link = manifest(order.place, order.job, backup, Path(folder) / backup)
        if link["previous"] != before:
            raise CommandExecutionError(
                f"{order.job}/{backup} does not follow on {before or 'nothing: it is incremental'}"
            )
        manifests.append(link)
        before = backup
    return manifests


def fetched(order, folder, manifests):
    """The local folders of a chain, every file of them as its manifest says. Raises: CommandExecutionError."""
    folders = []
    for facts in manifests:
        there = Path(folder) / facts["id"]
        order.place.get(order.job, facts["id"], there, deadline_s=order.deadline_s)
        if problems := _files.differences(there, facts):
            raise CommandExecutionError(f"{order.job}/{facts['id']} is damaged: {'; '.join(problems)}")
        folders.append(there)
    return folders


def need(folder, manifests):
    """The room that the chain itself takes, as `_saltlick_backup_files.room` has it."""
    return folder, sum(link["size"] for link in manifests), "what is fetched"


class Watch:
    """Seconds per part of a job: call it at the end of each."""

    def __init__(self):
        self.seconds, self._last = {}, time.monotonic()

    def __call__(self, part):
        now = time.monotonic()
        self.seconds[part] = round(now - self._last, 2)
        self._last = now
