"""The chain of backups that a restore is made of: described by its manifests, then fetched and verified. Sibling of `backup`."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_files as _files
    import _saltlick_backup_manifests as _manifests
except ImportError:
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_manifests as _manifests


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
    anew: bool = False
    """Written anew before it serves, so that nothing is left of what the scripts changed."""
    hold: bool = False
    """Left beside what serves, for `exchange`."""
    environment: str = ""
    """What this server belongs to; empty where its pillar does not say."""
    directories: tuple = ()
    """The folders that the job declares."""

    @property
    def serves(self):
        """Whether it is to take the place of what serves, now or later."""
        return self.swap or self.hold

    def moves(self, manifest):
        """Whether data is to serve that is another environment's, or is made like that."""
        owner = manifest.get("environment", "")
        return self.serves and (self.anew or (bool(owner and self.environment) and owner != self.environment))


def manifests(place, job, backups):
    """What a store says of these backups, before any of them is fetched. Raises: CommandExecutionError where it has none, or
    one that is not as it was made."""
    facts = _manifests.there(place, job)
    if lacking := [f"{job}/{backup}" for backup in backups if facts.get(backup, {}) == {}]:
        raise CommandExecutionError(f"store {place.name} has no finished backup {', '.join(lacking)}")
    for backup in backups:
        if isinstance(facts[backup], CommandExecutionError):
            raise facts[backup]
    return [facts[backup] for backup in backups]


def known(place, job):
    """The manifests that a store has of a job, by id; those that are damaged are left out: `backup.freshness` says them."""
    return {
        backup: facts for backup, facts in _manifests.there(place, job).items() if facts and isinstance(facts, dict)
    }


def described(order):
    """The manifests of a chain, in order, each of which follows on the one before. Raises: CommandExecutionError."""
    links, before = manifests(order.place, order.job, order.chain), ""
    for link in links:
        if before not in (link["previous"], link.get("follows") or link["previous"]):
            raise CommandExecutionError(
                f"{order.job}/{link['id']} does not follow on {before or 'nothing: it is incremental'}"
            )
        before = link["id"]
    return links


def fetched(order, folder, manifests):
    """The local folders of a chain, every file of them as its manifest says. Raises: CommandExecutionError."""
    folders = []
    for facts in manifests:
        there = Path(folder) / facts["id"]
        whole(order.place, order.job, facts, there, order.deadline_s)
        folders.append(there)
    return folders


def whole(place, job, facts, folder, deadline_s):
    """Fetch a backup that is as its manifest says. Raises: CommandExecutionError; before the fetch, for names and sizes."""
    problems = listed(place, job, facts) or brought(place, job, facts, folder, deadline_s)
    if problems:
        raise CommandExecutionError(f"{job}/{facts['id']} is damaged: {'; '.join(problems)}")


def listed(place, job, facts):
    """What stands against a backup by the names and sizes of its files in the store, a sentence each."""
    sizes = place.files(job, facts["id"])
    return [*_files.strangers(sizes, facts), *_files.unlike(sizes, facts).values()]


def brought(place, job, facts, folder, deadline_s):
    """Fetch the files that a manifest lists, and nothing else; what stands against them, a sentence each."""
    place.get(job, facts["id"], folder, facts["files"], deadline_s=deadline_s)
    return list(_files.differences(folder, facts).values())


def compared(place, job, facts, folder, deadline_s):
    """Fetch what is as large as its manifest says; what stands against the backup, a sentence each."""
    sizes = place.files(job, facts["id"])
    wrong = _files.unlike(sizes, facts)
    place.get(job, facts["id"], folder, [name for name in facts["files"] if name not in wrong], deadline_s=deadline_s)
    found = {**_files.differences(folder, facts), **wrong}
    return [*_files.strangers(sizes, facts), *(found[name] for name in sorted(found))]


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
