"""What a store holds of a job: manifests as values, and the chains they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from saltlick.errors import NotReady


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One finished backup, as its manifest says. Times are aware; sizes are bytes."""

    id: str
    job: str
    kind: str
    mode: str
    """`full` or `incr`."""
    base: str
    """The full backup it belongs to; empty for a full one."""
    previous: str
    """The backup it follows on; empty for a full one."""
    server: str
    role: str
    began: datetime
    ended: datetime
    size: int
    raw_size: int
    reaches: datetime
    """Everything acknowledged before this moment is in it."""
    vouched: bool
    """Whether the primary itself was asked how far that is."""
    why: str
    """Why it became a full one though less was wanted."""
    seconds: Mapping[str, float]
    versions: Mapping[str, str]

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> Backup:
        """From a manifest as `_modules/backup.py` writes it."""
        postgresql = manifest.get("postgresql") or {}
        began = _moment(manifest["began"])
        return cls(
            **{name: str(manifest[name]) for name in ("id", "job", "kind", "mode", "base", "previous", "server")},
            role=str(manifest.get("role", "")),
            began=began,
            ended=_moment(manifest["ended"]),
            size=int(manifest["size"]),
            raw_size=int(manifest["raw_size"]),
            reaches=_moment(postgresql["reaches"]) if "reaches" in postgresql else began,
            vouched=bool(postgresql.get("primary_asked", True)),
            why=str(manifest.get("why", "")),
            seconds=dict(manifest.get("seconds", {})),
            versions=dict(manifest.get("versions", {})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What a store has of one job, oldest first. `unfinished` and `unreadable` are ids of what no backup can be made of."""

    backups: tuple[Backup, ...]
    unfinished: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @classmethod
    def read(cls, listing: Mapping[str, Any], job: str) -> Catalogue:
        """From what `backup.catalogue` returned."""
        backups = [Backup.read(backup) for backup in listing["manifests"] if backup["job"] == job]
        return cls(
            backups=tuple(sorted(backups, key=lambda backup: (backup.ended, backup.id))),
            unfinished=_ids(listing["unfinished"], job),
            unreadable=_ids(listing["unreadable"], job),
        )

    def chain(self, backup: Backup) -> tuple[Backup, ...]:
        """The full backup and all in between, up to this one.

        Raises: NotReady where a link is missing.
        """
        known = {backup.id: backup for backup in self.backups}
        links = [backup]
        while links[0].previous:
            if links[0].previous not in known:
                raise NotReady(
                    f"{backup.job}/{links[0].id} builds on {links[0].previous}, which the store does not have"
                )
            links.insert(0, known[links[0].previous])
        return tuple(links)

    def whole(self, backup: Backup) -> bool:
        """Whether all that it builds on is there."""
        known = {backup.id: backup.previous for backup in self.backups}
        link = backup.id
        while known.get(link):
            link = known[link]
        return link in known

    def until(self, moment: datetime | None) -> tuple[Backup, ...]:
        """The chain that a restore to that moment needs; without one, to the end of the newest chain.

        Raises: NotReady where no backup reaches that far, in either direction.
        """
        whole = [backup for backup in self.backups if self.whole(backup)]
        if not whole:
            raise NotReady("the store has no finished backup of this job")
        if moment is None:
            return self.chain(whole[-1])
        reaching = [backup for backup in whole if backup.reaches >= moment and self._begins(backup) <= moment]
        if reaching:
            return self.chain(min(reaching, key=lambda backup: (backup.reaches, backup.ended)))
        first, last = min(map(self._begins, whole)), max(backup.reaches for backup in whole)
        raise NotReady(
            f"the store reaches from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC, not {moment:%Y-%m-%d %H:%M:%S}"
        )

    def _begins(self, backup: Backup) -> datetime:
        """The earliest moment that a chain can be recovered to: when its full backup was done."""
        return self.chain(backup)[0].ended


def newest(backups: Iterable[Backup]) -> Backup | None:
    """The one that reaches furthest."""
    return max(backups, key=lambda backup: (backup.reaches, backup.ended), default=None)


def name_of(moment: datetime, mode: str) -> str:
    """The id of a backup that begins then."""
    return f"{moment.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}-{mode}"


def after(moment: datetime, taken: Sequence[str], mode: str) -> str:
    """An id that nobody has: ids go by the second."""
    while any(backup.startswith(name_of(moment, mode)[:16]) for backup in taken):
        moment += timedelta(seconds=1)
    return name_of(moment, mode)


def _ids(names: Iterable[str], job: str) -> tuple[str, ...]:
    return tuple(sorted(name.partition("/")[2] for name in names if name.partition("/")[0] == job))


def _moment(text: str) -> datetime:
    """`2026-11-23T02:00:00Z`, or as PostgreSQL writes it (`2026-11-23 02:00:00.5+00`)."""
    text = text.replace("Z", "+00:00")
    backups = datetime.fromisoformat(f"{text}:00" if text.endswith("+00") else text)
    return backups if backups.tzinfo else backups.replace(tzinfo=timezone.utc)
