"""What runs where, now: each server's revision, age, health and place at the balancer, and what is not as it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from saltlick.fleet.ports import Seen, Traffic
from saltlick.release.journal.left_behind import may_be_resumed
from saltlick.release.journal.record import ReleaseRecord
from saltlick.release.report import wording
from saltlick.terminal import painter, table

_TRAFFIC = {
    Traffic.IN: "in traffic",
    Traffic.DRAINING: "draining",
    Traffic.OUT: "OUT OF TRAFFIC",
    Traffic.UNHEALTHY: "UNHEALTHY there",
    Traffic.UNKNOWN: "unknown",
}
LONGEST = 40
"""So much of a reason stands in the table; one that is longer is below it, whole."""
_UNSEEN = Seen(Traffic.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerNow:
    """One server as it was just seen. `error`: why it could not be asked; the rest is then what others say of it."""

    name: str
    zone: str = ""
    sha: str = ""
    branch: str = ""
    since: float | None = None
    """When that revision was activated, seconds of the epoch."""
    healthy: bool | None = None
    """None: nobody could tell."""
    health: str = ""
    """What the check saw."""
    traffic: Seen = _UNSEEN
    error: str = ""


def text(
    environment: str,
    servers: Sequence[ServerNow],
    *,
    now: float,
    lock: str = "",
    last: ReleaseRecord | None = None,
    colour: bool = False,
) -> str:
    """A line per server, the flags, the lock in words and the release that runs or was the last."""
    paint = painter(colour)
    heads = ("server", "zone", "revision", "branch", "age", "health", "balancer")
    rows, marks = [_row(server, now) for server in servers], list(map(_mark, servers))
    warnings = flags(servers)
    lines = [paint("bold", environment), *table(heads, rows, marks=marks, right=(4,), colour=colour), ""]
    lines += [paint("✗", f"! {warning}") for warning in warnings]
    lines += [
        f"  {server.name}: {reason}" for server in servers for reason in _reasons(server) if len(reason) > LONGEST
    ]
    if lock:
        lines.append(paint("!", f"locked: {wording.clean(lock)}"))
    if last is not None:
        lines.append(f"{'running' if last.ended is None else 'last'}: {last.id}  {wording.headline(last)}")
        lines += [wording.advice(last)[0]] if may_be_resumed(last) else []
    if not warnings:
        lines.append(paint("+", _well(servers)))
    return "\n".join(lines)


def _well(servers: Sequence[ServerNow]) -> str:
    shas = {server.sha for server in servers}
    return (
        f"{wording.count(len(servers), 'server')} on {wording.short(shas.pop())}, healthy and in traffic."
        if shas
        else "No servers."
    )


def _row(server: ServerNow, now: float) -> tuple[str, ...]:
    age = wording.took(now - server.since) if server.since is not None else "?"
    sha = "?" if server.error and not server.sha else wording.short(server.sha)
    health = {True: "healthy", False: "UNHEALTHY", None: "?"}[server.healthy]
    reason, detail = map(_cut, _reasons(server))
    sessions = f", {server.traffic.sessions} sessions" if server.traffic.sessions is not None else ""
    balancer = f"{_TRAFFIC[server.traffic.traffic]}{sessions}"
    balancer = f"{balancer}: {detail}" if detail else balancer
    return (
        server.name,
        server.zone,
        sha,
        server.branch or "-",
        age,
        f"{health}: {reason}" if reason else health,
        balancer,
    )


def _reasons(server: ServerNow) -> tuple[str, str]:
    """What is wrong with it by itself, and by the balancer; empty where nothing is."""
    detail = server.traffic.detail if server.traffic.traffic is not Traffic.IN else ""
    own = server.error or ("" if server.healthy else server.health)
    return wording.first_line(own), wording.first_line(detail)


def _cut(reason: str) -> str:
    return reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 1]}…"


def _mark(server: ServerNow) -> str:
    if server.error or server.healthy is False or server.traffic.traffic in (Traffic.OUT, Traffic.UNHEALTHY):
        return "✗"
    return "…" if server.healthy is None or server.traffic.traffic is not Traffic.IN else "+"


def flags(servers: Sequence[ServerNow]) -> tuple[str, ...]:
    """What is not as it should be, a sentence each; none when everything is well. Servers are all named."""
    named = {
        "no answer": [server.name for server in servers if server.error],
        "unhealthy": [server.name for server in servers if not server.error and server.healthy is False],
        "health unknown": [server.name for server in servers if not server.error and server.healthy is None],
        "out of traffic": [server.name for server in servers if server.traffic.traffic is Traffic.OUT],
        "draining": [server.name for server in servers if server.traffic.traffic is Traffic.DRAINING],
        "unhealthy at the balancer": [server.name for server in servers if server.traffic.traffic is Traffic.UNHEALTHY],
        "unknown to the balancer": [server.name for server in servers if server.traffic.traffic is Traffic.UNKNOWN],
    }
    problems = [f"{what}: {wording.names(who, all_of_them=True)}" for what, who in named.items() if who]
    return (*_mixed(servers), *problems)


def _mixed(servers: Sequence[ServerNow]) -> tuple[str, ...]:
    """Servers that are not all on one revision: the commonest is counted, the others are named."""
    known = [server for server in servers if server.sha or not server.error]
    common = Counter(server.sha for server in known).most_common()
    if len(common) < 2:
        return ()
    parts = [f"{wording.short(common[0][0])} on {common[0][1]}"]
    parts += [
        f"{wording.short(sha)} on {wording.names([server.name for server in known if server.sha == sha])}"
        for sha, _ in common[1:]
    ]
    return (f"mixed revisions: {'; '.join(parts)}",)


def data(
    environment: str, servers: Sequence[ServerNow], *, now: float, lock: str = "", last: ReleaseRecord | None = None
) -> dict[str, Any]:
    """The same for machines."""
    return {
        "environment": environment,
        "servers": {
            server.name: {
                "zone": server.zone,
                "sha": server.sha or None,
                "branch": server.branch or None,
                "age_s": None if server.since is None else round(now - server.since, 3),
                "healthy": server.healthy,
                "health": server.health,
                "traffic": server.traffic.traffic.value,
                "sessions": server.traffic.sessions,
                "error": server.error or None,
            }
            for server in servers
        },
        "flags": list(flags(servers)),
        "mixed": bool(_mixed(servers)),
        "lock": lock or None,
        "release": None if last is None else last.id,
        "running": last is not None and last.ended is None,
    }
