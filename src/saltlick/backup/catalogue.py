"""What a store holds of a job: manifests as values, and the chains they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

from saltlick.backup.timelines import Lineage, Mainline, lineage
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
    """A restore cannot end before it. For PostgreSQL's full backups by the clock of the primary, which stamps the commits."""
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
    sequence: int = 0
    """Its place among the backups of the job, whatever the clocks showed; 0 for those of before there were such numbers."""
    follows: str = ""
    """For the first increment after a full backup: the backup before that one, whose WAL it joins on to as well."""
    lineage: Lineage = ()
    """The timelines that it is of, oldest first; empty where that is not known, or has no meaning."""
    born: datetime | None = None
    """When the last of them began."""
    left: tuple[datetime | None, ...] = ()
    """For each ancestor of the last of them, where a restore to a moment left it: up to which moment it goes on there."""

    @property
    def order(self) -> tuple[int, datetime, str]:
        """What backups of a job are sorted by."""
        return (self.sequence, self.ended, self.id)

    def less_than(self, before: Backup) -> float:
        """Of how many percent less data it is than another; negative where it is of more."""
        return 100 * (1 - self.raw_size / before.raw_size) if before.raw_size else 0.0

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> Backup:
        """From a manifest as `_modules/backup.py` writes it."""
        postgresql = manifest.get("postgresql") or {}
        began = _moment(manifest["began"])
        return cls(
            **{name: str(manifest[name]) for name in ("id", "job", "kind", "mode", "base", "previous", "server")},
            role=str(manifest.get("role", "")),
            began=began,
            ended=_moment(postgresql.get("consistent") or manifest["ended"]),
            size=int(manifest["size"]),
            raw_size=int(manifest["raw_size"]),
            reaches=_moment(postgresql["reaches"]) if "reaches" in postgresql else began,
            vouched=bool(postgresql.get("primary_asked", True)),
            why=str(manifest.get("why", "")),
            seconds=dict(manifest.get("seconds", {})),
            versions=dict(manifest.get("versions", {})),
            sequence=int(manifest.get("sequence", 0)),
            follows=str(manifest.get("follows", "")),
            lineage=lineage(postgresql),
            born=_moment(postgresql["born"]) if postgresql.get("born") else None,
            left=tuple(_moment(text) if text else None for text in postgresql.get("left", ())),
        )


@dataclass(frozen=True, kw_only=True)
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
            backups=tuple(sorted(backups, key=lambda backup: backup.order)),
            unfinished=_ids(listing["unfinished"], job),
            unreadable=_ids(listing["unreadable"], job),
        )

    @cached_property
    def _known(self) -> Mapping[str, Backup]:
        return {backup.id: backup for backup in self.backups}

    @cached_property
    def _whole(self) -> Collection[str]:
        whole = {backup.id for backup in self.backups if not backup.previous}
        after, reached = self._after, list(whole)
        while reached:
            more = [
                backup.id
                for backup in after.get(reached.pop(), ())
                if backup.previous in whole and backup.id not in whole
            ]
            whole |= set(more)
            reached += more
        return whole

    @property
    def ids(self) -> tuple[str, ...]:
        """Every name that the store has, usable or not."""
        return (*self._known, *self.unfinished, *self.unreadable)

    def without(self, bad: Collection[str]) -> Catalogue:
        """The same without some backups: what builds on them is not whole then."""
        return replace(self, backups=tuple(backup for backup in self.backups if backup.id not in bad))

    def chain(self, backup: Backup) -> tuple[Backup, ...]:
        """The full backup and all in between, up to this one.

        Raises: NotReady where a link is missing.
        """
        links = [backup]
        while links[-1].previous:
            if links[-1].previous not in self._known:
                raise NotReady(
                    f"{backup.job}/{links[-1].id} builds on {links[-1].previous}, which the store does not have"
                )
            links.append(self._known[links[-1].previous])
        return tuple(reversed(links))

    def whole(self, backup: Backup) -> bool:
        """Whether all that it builds on is there."""
        return backup.id in self._whole

    def until(self, moment: datetime | None) -> tuple[Backup, ...]:
        """The chain that a restore to that moment needs; without one, to the end of the newest chain.

        It begins with the newest full backup that was done by that moment, and ends with the first backup that reaches it and is
        of the timeline that served at that moment.

        Raises: NotReady where no backup reaches that far, in either direction.
        """
        whole = [backup for backup in self.backups if self.whole(backup)]
        if not whole:
            raise NotReady("the store has no finished backup of this job")
        if moment is None:
            return self.chain(whole[-1])
        chain, stale = self._found(moment)
        if not chain:
            raise NotReady(self._unreached(whole, moment, stale))
        return chain

    def _found(self, moment: datetime) -> tuple[tuple[Backup, ...], bool]:
        """The chain for a moment, or none; then also whether there is one that is of another timeline."""
        stale = False
        for base in reversed(self.backups):
            if base.previous or base.ended > moment:
                continue
            for chain in _reaching(base, moment, self._after):
                if self._mainline.served(chain[-1].lineage, moment):
                    return chain, False
                stale = True
        return (), stale

    @cached_property
    def _mainline(self) -> Mainline:
        return Mainline.of(self.backups)

    @cached_property
    def _after(self) -> Mapping[str, Sequence[Backup]]:
        """What builds or follows on each backup, by its id."""
        after: dict[str, list[Backup]] = defaultdict(list)
        for backup in self.backups:
            for before in {backup.previous, backup.follows} - {""}:
                after[before].append(backup)
        return after

    def _unreached(self, whole: Sequence[Backup], moment: datetime, stale: bool) -> str:
        first = min(self.chain(backup)[0].ended for backup in whole)
        last = max(backup.reaches for backup in whole)
        text = f"the store reaches from {_shown(first)} to {_shown(last)} UTC, not {_shown(moment)}"
        if stale:
            text = (
                f"{text}: what reaches it is of a timeline that another one had taken the place of, or had left before"
            )
        return f"{text}. {near}" if first < moment < last and (near := self._nearest(whole, moment)) else text

    def _nearest(self, whole: Sequence[Backup], moment: datetime) -> str:
        """The moments on both sides that can be restored."""
        edges = {at for backup in whole for at in (backup.reaches, backup.ended, backup.born) if at}
        before = [at for at in sorted(edges, reverse=True) if at < moment and self._found(at)[0]][:1]
        after = [at for at in sorted(edges) if at > moment and self._found(at)[0]][:1]
        return f"The nearest moments that can be restored: {' and '.join(map(_shown, (*before, *after)))} UTC"


def _reaching(base: Backup, moment: datetime, after: Mapping[str, Sequence[Backup]]) -> Iterator[tuple[Backup, ...]]:
    """Chains from a full backup up to the first one that reaches a moment."""
    paths: list[tuple[Backup, ...]] = [(base,)]
    while paths:
        path = paths.pop()
        if path[-1].reaches >= moment:
            yield path  # if it is of a timeline that did not serve then, one that goes on from it may be
        paths += [(*path, backup) for backup in reversed(after.get(path[-1].id, ()))]


def name_of(moment: datetime, mode: str) -> str:
    """The id of a backup that begins then."""
    return f"{moment.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}-{mode}"


def after(moment: datetime, taken: Sequence[str], mode: str) -> str:
    """An id that nobody has: ids go by the second."""
    seconds = {backup[:16] for backup in taken}
    while name_of(moment, mode)[:16] in seconds:
        moment += timedelta(seconds=1)
    return name_of(moment, mode)


def _ids(names: Iterable[str], job: str) -> tuple[str, ...]:
    return tuple(sorted(name.partition("/")[2] for name in names if name.partition("/")[0] == job))


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _moment(text: str) -> datetime:
    """`2026-11-23T02:00:00Z`, or as PostgreSQL writes it (`2026-11-23 02:00:00.5+00`)."""
    text = text.replace("Z", "+00:00")
    backups = datetime.fromisoformat(f"{text}:00" if text.endswith("+00") else text)
    return backups if backups.tzinfo else backups.replace(tzinfo=timezone.utc)
