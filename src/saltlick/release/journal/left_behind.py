"""Servers that releases took out of traffic, or stopped, and did not put back: the list that stays until each is back. Pure.

It is read from the journal's rows, so nothing has to be kept beside them, and a killed process loses nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile, islice

from saltlick.release.journal.record import ReleaseRecord, Result, ServerRecord, ServerStatus

BACK = frozenset({ServerStatus.DONE, ServerStatus.UNDONE})
OUT = frozenset({ServerStatus.LEFT_OUT, ServerStatus.TOUCHED})
NEW = frozenset({Result.DONE, Result.PARTIAL})
"""After these the group is on the release's revision."""


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What is known of one such server."""

    release: str
    """The release that left it so."""
    sha: str
    """The revision it belongs on, which the others of its group had when that release was over; empty: none is known."""


def left_behind(history: Sequence[ReleaseRecord]) -> Mapping[str, LeftBehind]:
    """Each such server. `history`: the releases of one application, newest first.

    A server that waited for its turn, or was skipped, stands as the release before left it.
    """
    servers: dict[str, LeftBehind] = {}
    for release in reversed(history):
        if release.result is Result.REFUSED:
            continue
        for server in release.servers:
            if server.standing in BACK:
                servers.pop(server.name, None)
            elif server.standing in OUT:
                servers[server.name] = LeftBehind(release.id, _belongs_on(release, server, servers.get(server.name)))
    return servers


def before(history: Iterable[ReleaseRecord], release: str) -> tuple[ReleaseRecord, ...]:
    """What there was before that release, newest first; nothing where it is not in `history`."""
    return tuple(islice(dropwhile(lambda record: record.id != release, history), 1, None))


def _belongs_on(release: ReleaseRecord, server: ServerRecord, earlier: LeftBehind | None) -> str:
    if release.result in NEW:
        return release.sha
    return server.previous or (earlier.sha if earlier else "")


def may_be_resumed(record: ReleaseRecord) -> bool:
    """Whether a release can be taken up: it is half done, or it went back without servers that were silent or failed."""
    left_out = any(server.standing is ServerStatus.LEFT_OUT for server in record.servers)
    return record.result in {Result.RUNNING, Result.STUCK} or (record.result is Result.ROLLED_BACK and left_out)


def to_resume(history: Sequence[ReleaseRecord]) -> ReleaseRecord | None:
    """The release of an environment to take up: the latest one of any group where there is something left to do.

    `history`: newest first. A later release of the same group has taken over what an earlier one left.
    """
    seen: set[tuple[str, str]] = set()
    for record in history:
        group = (record.application, record.group)
        if record.result is Result.REFUSED or group in seen:
            continue
        seen.add(group)
        if may_be_resumed(record):
            return record
    return None
