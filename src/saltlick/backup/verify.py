"""Whether what is in a store is what was put there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saltlick.backup.catalogue import Backup, Catalogue
from saltlick.backup.context import BackupContext, BackupJob, source
from saltlick.backup.history import Attempt
from saltlick.errors import NotReady, SaltlickError
from saltlick.fleet.ports import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One backup compared with its manifest, every byte of it; `problems` a sentence each."""

    backup: str
    problems: tuple[str, ...]


def verify(subject: BackupJob, wanted: str, context: BackupContext, *, who: str = "") -> tuple[Verified, ...]:
    """Compare backups with their manifests: `latest` (with all it builds on), `all`, or one id.

    Raises: NotReady where there is no such backup; ServerFailed.
    """
    server = source(subject, context)
    catalogue = context.catalogue(server, subject.job.store, subject.name)
    verified = []
    for backup in _wanted(subject, catalogue, wanted):
        number = context.history.begin(
            subject.environment, Attempt.VERIFY, subject.name, backup=backup.id, server=server, who=who
        )
        call = Call(
            "backup.verify", (subject.job.store, subject.name, backup.id), {"deadline_s": subject.job.deadline_s}
        )
        try:
            job = f"verify {subject.environment} {subject.name} {backup.id} {number}"
            result = context.long(server, call, job=job, deadline_s=subject.job.deadline_s)
        except SaltlickError as error:
            context.history.unverified(number, str(error))  # that is no damage
            raise
        context.history.end(number, ok=not result["problems"], error="; ".join(result["problems"]))
        verified.append(Verified(backup=backup.id, problems=tuple(result["problems"])))
        context.notify(
            f"{subject.name}: {backup.id} {'is damaged' if result['problems'] else 'is as it was written'}", {}
        )
    return (
        *verified,
        *(Verified(backup=backup_id, problems=("its manifest cannot be read",)) for backup_id in catalogue.unreadable),
    )


def _wanted(subject: BackupJob, catalogue: Catalogue, wanted: str) -> Sequence[Backup]:
    if wanted == "all":
        return catalogue.backups
    if not catalogue.backups:
        raise NotReady(f"store {subject.job.store} has no finished backup of {subject.name}")
    if wanted == "latest":
        return catalogue.chain(catalogue.backups[-1])
    if verified := [backup for backup in catalogue.backups if backup.id == wanted]:
        return verified
    newest = catalogue.backups[-1].id
    raise NotReady(f"store {subject.job.store} has no finished backup {subject.name}/{wanted}; the newest is {newest}")
