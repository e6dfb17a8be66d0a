"""Whether a release may begin: everything that stands against it, found before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from saltlick.errors import InvalidInput
from saltlick.fleet.ports import Reply, Seen, Traffic
from saltlick.release.context import FORCE_WORDS
from saltlick.release.journal.left_behind import LeftBehind, left_behind
from saltlick.release.journal.record import Result
from saltlick.release.pillar.windows import denied
from saltlick.release.planning.server_health import ASK_S, healths
from saltlick.release.steps import server_calls

if TYPE_CHECKING:
    from saltlick.release.context import ReleaseContext, ReleaseRequest
    from saltlick.release.pillar import Recipe

RESOLVE_S = 180.0
TRIES = 3
"""Servers that are asked, one after the other, what a revision is."""


@dataclass(frozen=True, slots=True)
class PreflightFinding:
    """One thing that stands against a release. `force`: the word that overrides it, empty where nothing does."""

    message: str
    server: str = ""
    force: str = ""
    forced: bool = False
    """The operator overrides it."""

    def __str__(self) -> str:
        finding = f"{self.server}: {self.message}" if self.server else self.message
        return f"{finding} (force={self.force})" if self.force and not self.forced else finding


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFindings:
    """What pre-flight saw of a group."""

    sha: str
    current: Mapping[str, str]
    """Server → the revision it runs."""
    in_traffic: frozenset[str] = frozenset()
    silent: Mapping[str, str] = field(default_factory=dict)
    """Server → what was tried."""
    already: tuple[str, ...] = ()
    """Servers that have the revision already, healthy and in traffic (none of them if `force=True`)."""
    left_behind: Mapping[str, LeftBehind] = field(default_factory=dict)
    """Servers of the group that an earlier release left out of traffic, and that are not back."""
    returning: tuple[str, ...] = ()
    """Those of them that answer: this release brings them back."""
    findings: tuple[PreflightFinding, ...] = ()


def look(recipe: Recipe, asked: ReleaseRequest, context: ReleaseContext) -> PreflightFindings:
    """Ask every server, the balancer, the repository, the calendar and the journal; changes nothing.

    Raises: InvalidInput for a force word that means nothing.
    """
    if unknown := sorted(asked.force - set(FORCE_WORDS)):
        raise InvalidInput([f"force={word}: there is {', '.join(FORCE_WORDS)}" for word in unknown], what="release")
    names = tuple(server.name for server in asked.servers)
    replies = context.fleet.run(
        dict.fromkeys(names, server_calls.current(recipe.source, recipe.strategy.kind)), deadline_s=ASK_S
    )
    silent = {name: reply.error for name, reply in replies.items() if reply.silent}
    there = tuple(name for name in names if name not in silent)
    current = {name: str(replies[name].value or "") for name in there if replies[name].ok}
    sha, unresolved = _resolve(recipe, asked, context, there)
    health = healths(recipe, asked.environment, {name: current.get(name, "") for name in there}, context)
    unwell = {name: reply.error for name, reply in health.items() if not reply.ok}
    shown = {name: Seen(Traffic.UNKNOWN) for name in names} | dict(context.balancer.look(names))
    in_traffic = frozenset(name for name in names if _in_traffic(shown[name].traffic, recipe))
    well = (set(there) & in_traffic) - set(unwell)
    behind = left_behind(context.journal.history(asked.environment, application=recipe.application))
    returning = tuple(name for name in there if name in behind and name not in well)
    findings = [
        *(PreflightFinding(f"does not answer: {why}", name, "silent") for name, why in silent.items()),
        *(PreflightFinding(f"cannot tell its revision: {replies[n].error}", n) for n in there if not replies[n].ok),
        *unresolved,
        *(_returning(name, behind[name], shown[name]) for name in returning),
        *(
            PreflightFinding(f"is not healthy now: {why}", name, "unhealthy")
            for name, why in unwell.items()
            if name not in returning
        ),
        *_disk(recipe, context, there),
        *(
            _not_in_traffic(name, shown[name])
            for name in there
            if name not in in_traffic and (name not in returning or shown[name].traffic is Traffic.UNKNOWN)
        ),
        *_calendar(recipe, asked, context),
        *_unfinished(asked, context),
    ]
    already = tuple(name for name in names if name in well and sha and current.get(name) == sha)
    return PreflightFindings(
        sha=sha,
        current=current,
        in_traffic=in_traffic,
        silent=silent,
        already=() if "True" in asked.force else already,
        left_behind={name: behind[name] for name in names if name in behind and name not in well},
        returning=returning,
        findings=tuple(replace(f, forced=f.forced or f.force in asked.force) for f in findings),
    )


def _returning(name: str, left: LeftBehind, seen: Seen) -> PreflightFinding:
    """Said, and no obstacle: it was Saltlick that took it out of traffic."""
    how = f"{left.release} left it behind, the balancer shows it {seen.traffic.value}: it goes first and comes back"
    return PreflightFinding(how, name, forced=True)


def _not_in_traffic(name: str, seen: Seen) -> PreflightFinding:
    """Who cannot be seen cannot be taken out, so nothing overrides that."""
    message = f"the balancer shows it {seen.traffic.value}: {seen.detail}".rstrip(": ")
    return PreflightFinding(message, name, "" if seen.traffic is Traffic.UNKNOWN else "unhealthy")


def _resolve(
    recipe: Recipe, asked: ReleaseRequest, context: ReleaseContext, there: tuple[str, ...]
) -> tuple[str, list[PreflightFinding]]:
    """What the revision is now, by the first servers that answer: one SHA for all of them."""
    reply = Reply(False, error="there is no server to ask")
    for name in there[:TRIES]:
        call = server_calls.resolve(recipe.source, recipe.strategy.kind, asked.rev)
        reply = context.fleet.run({name: call}, deadline_s=RESOLVE_S)[name]
        if reply.ok and reply.value:
            return str(reply.value), []
        if not reply.silent:
            break
    return "", [PreflightFinding(f"{asked.rev!r} cannot be resolved: {reply.error}")]


def _disk(recipe: Recipe, context: ReleaseContext, there: tuple[str, ...]) -> Iterator[PreflightFinding]:
    wanted = recipe.source.min_free_mb
    for name, reply in context.fleet.run(
        dict.fromkeys(there, server_calls.free(recipe.source)), deadline_s=ASK_S
    ).items():
        if not reply.ok:
            yield PreflightFinding(f"cannot tell its free space: {reply.error}", name, "disk")
        elif float(reply.value) < wanted:
            yield PreflightFinding(
                f"{reply.value} MB free in {recipe.source.directory}, wanted are {wanted}", name, "disk"
            )


def _calendar(recipe: Recipe, asked: ReleaseRequest, context: ReleaseContext) -> Iterable[PreflightFinding]:
    """Windows keep news out, not the way back: who has to go back at night finds no further obstacle."""
    if asked.rollback:
        return []
    why = denied(recipe.windows, datetime.fromtimestamp(context.epoch(), timezone.utc))
    return [PreflightFinding(why, force="window")] if why else []


def _unfinished(asked: ReleaseRequest, context: ReleaseContext) -> Iterable[PreflightFinding]:
    """A release whose process died left servers in the middle: it is taken up or back, not built over."""
    before = context.journal.latest(asked.environment)
    if before is None or before.result not in {Result.RUNNING, Result.STUCK}:
        return []
    name = asked.environment
    direction = f"`salt-run release.resume {name}` goes on with it, `salt-run release.rollback {name}` takes it back"
    return [PreflightFinding(f"{before.id} is {_outcome(before.result)}: {direction}", force="unfinished")]


def _outcome(result: Result) -> str:
    return "not finished" if result is Result.RUNNING else result.value


def _in_traffic(traffic: Traffic, recipe: Recipe) -> bool:
    return traffic is Traffic.IN or (traffic is Traffic.UNKNOWN and recipe.balancer.kind == "none")
