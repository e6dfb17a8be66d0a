"""What the servers run now: three rounds of questions, whatever their number, and the journal's memory of when that came."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from saltlick.fleet.placeholders import placeholders_now
from saltlick.fleet.ports import Reply, Seen, Traffic
from saltlick.release.journal.record import ReleaseRecord, ServerStatus
from saltlick.release.pillar import fill_check
from saltlick.release.report.status import ServerNow
from saltlick.release.steps import server_calls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from saltlick.release.context import ReleaseContext, ReleaseServer
    from saltlick.release.pillar import Recipe

ASK_S = 60.0
"""How long a server may take to answer a question."""


def observe_servers(
    recipe: Recipe, environment: str, servers: Sequence[ReleaseServer], context: ReleaseContext
) -> tuple[ServerNow, ...]:
    """Each server as it is seen now. What cannot be asked is told with the reason; nothing is changed."""
    names = tuple(server.name for server in servers)
    replies = context.fleet.run(
        dict.fromkeys(names, server_calls.current(recipe.source, recipe.strategy.kind)), deadline_s=ASK_S
    )
    runs = {name: str(reply.value or "") for name, reply in replies.items() if reply.ok}
    health = healths(recipe, environment, runs, context, once=True)
    traffic = context.balancer.look(names)
    past = context.journal.history(environment, application=recipe.application)
    return tuple(
        ServerNow(
            name=server.name,
            zone=server.zone,
            sha=runs.get(server.name, ""),
            branch=_branch(past, runs.get(server.name, "")),
            since=_since(past, server.name, runs.get(server.name, "")),
            healthy=health[server.name].ok if server.name in health else None,
            health=health[server.name].error if server.name in health else "",
            traffic=traffic.get(server.name, Seen(Traffic.UNKNOWN)),
            error="" if replies[server.name].ok else replies[server.name].error,
        )
        for server in servers
    )


def healths(
    recipe: Recipe, environment: str, runs: Mapping[str, str], context: ReleaseContext, *, once: bool = False
) -> dict[str, Reply]:
    """What each server (by the revision it runs) says to the recipe's checks now: good, or bad with all that is bad.

    Each question is repeated for some seconds until the answer is good, or asked `once`. No entry where the recipe has no check.
    """
    longest = max(1, ceil(recipe.health.timeout_s)) if once else min(10, recipe.health.deadline_s)
    asked = {"successes": 1, "deadline_s": longest} | ({"interval_s": longest} if once else {})
    health = recipe.health.model_copy(update=asked)
    replies_by_server: dict[str, list[Reply]] = {}
    for check in recipe.health.checks:
        calls = {
            name: fill_check(check, health, placeholders_now(recipe, environment, name, sha), delayed=False)
            for name, sha in runs.items()
        }
        for name, reply in context.fleet.run(calls, deadline_s=health.deadline_s + ASK_S).items():
            replies_by_server.setdefault(name, []).append(reply)
    return {name: _together(replies) for name, replies in replies_by_server.items()}


def _together(replies: Sequence[Reply]) -> Reply:
    bad = [reply.error for reply in replies if not reply.ok]
    return Reply(False, error="; ".join(bad)) if bad else replies[-1]


def _since(past: Sequence[ReleaseRecord], server: str, sha: str) -> float | None:
    """When it got what it runs: the end of the latest release that put it there."""
    for release in past:
        stands = next((record.standing for record in release.servers if record.name == server), None)
        if sha and release.sha == sha and stands is ServerStatus.DONE:
            return release.ended or release.started
    return None


def _branch(past: Sequence[ReleaseRecord], sha: str) -> str:
    """By which name that revision was asked for."""
    return next((release.rev for release in past if sha and release.sha == sha and not sha.startswith(release.rev)), "")
