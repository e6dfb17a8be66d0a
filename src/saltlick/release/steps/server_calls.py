"""What servers are told about revisions: the calls of the minion modules `revision` and `requests_seen`."""

from __future__ import annotations

from saltlick.fleet.ports import Call
from saltlick.release.pillar.model import Source, StrategyKind


def current(source: Source, kind: StrategyKind) -> Call:
    """The revision a server runs."""
    return Call("revision.current", (source.directory,), {"in_place": kind is StrategyKind.IN_PLACE})


def resolve(source: Source, kind: StrategyKind, rev: str) -> Call:
    """The one SHA that a branch, a tag or part of a SHA is now, which can be laid out."""
    how = {"user": source.user, "directory": source.directory, "in_place": kind is StrategyKind.IN_PLACE}
    return Call("revision.resolve", (source.repository, rev), how)


def free(source: Source) -> Call:
    """How many MB are free."""
    return Call("revision.free", (source.directory,))


def prepare(source: Source, sha: str, release: str) -> Call:
    """Lay out a revision in its folder."""
    how = {"user": source.user, "bridge": list(source.bridge), "release": release, "shared": list(source.shared)}
    return Call("revision.prepare", (source.directory, source.repository, sha), how)


def built(source: Source, sha: str, release: str) -> Call:
    """That folder is complete."""
    return Call("revision.built", (source.directory, sha), {"bridge": list(source.bridge), "release": release})


def activate(source: Source, sha: str) -> Call:
    """Make a complete folder the current one."""
    return Call("revision.activate", (source.directory, sha))


def checkout(source: Source, sha: str) -> Call:
    """Check a revision out where the application runs."""
    return Call("revision.checkout", (source.directory, source.repository, sha), {"user": source.user})


def mark(source: Source, sha: str, release: str, *, good: bool) -> Call:
    """How a revision came out."""
    return Call("revision.mark", (source.directory, sha), {"good": good, "release": release})


def prune(source: Source, previous: str) -> Call:
    """Remove what nobody goes back to."""
    return Call("revision.prune", (source.directory,), {"keep": source.keep, "protect": [previous] if previous else []})


def note(line: str) -> Call:
    """A line in the server's own log."""
    return Call("revision.note", (line,))


def forget_jobs() -> Call:
    """Remove what is known of detached jobs that ended a month ago."""
    return Call("detached.forget")


def requests_seen(log: str, since: float, until: float) -> Call:
    """Requests by second."""
    return Call("requests_seen.count", (log,), {"since": since, "until": until})


def request_errors(log: str, since: float, until: float) -> Call:
    """Requests of that time, and how many were answered with an error."""
    return Call("requests_seen.errors", (log,), {"since": since, "until": until})
