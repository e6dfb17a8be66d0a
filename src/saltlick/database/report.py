"""A database cluster as data for programs and as lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saltlick.database.change import DatabaseChange
from saltlick.database.cluster import DatabaseCluster, DatabaseRole, DatabaseServer
from saltlick.database.verdict import Finding
from saltlick.terminal import painter, table

MARKS = {DatabaseRole.PRIMARY: "+", DatabaseRole.STANDBY: "+", DatabaseRole.DOWN: "✗", DatabaseRole.UNSEEN: "?"}


def data(cluster: DatabaseCluster, findings: Sequence[Finding]) -> dict[str, Any]:
    """JSON-able."""
    return {
        "environment": cluster.environment,
        "servers": {server.name: _server_data(server) for server in cluster.servers},
        "findings": [{"text": finding.text, "command": finding.command, "red": finding.red} for finding in findings],
    }


def _server_data(server: DatabaseServer) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "role": server.role.value, "seen": server.seen, "streams": dict(server.streams),
        "lag_bytes": dict(server.lag_bytes), "receiving": server.receiving,
    }  # fmt: skip
    if server.patroni:
        answer["patroni"] = {
            "answers": server.patroni.answers, "state": server.patroni.state, "paused": server.patroni.paused,
            "voices": dict(server.patroni.voices),
        }  # fmt: skip
    return answer


def text(cluster: DatabaseCluster, findings: Sequence[Finding], colour: bool) -> str:
    """A line per server, then a line per finding with the command to type."""
    rows = [(server.name, server.role.value, _detail(cluster, server)) for server in cluster.servers]
    lines = table((), rows, marks=[MARKS[server.role] for server in cluster.servers], colour=colour)
    paint = painter(colour)
    for finding in findings:
        lines.append(paint("✗" if finding.red else "!", finding.text))
        if finding.command:
            lines.append(f"  {finding.command}")
    return "\n".join(lines)


def _detail(cluster: DatabaseCluster, server: DatabaseServer) -> str:
    if server.role is DatabaseRole.STANDBY:
        for primary in cluster.servers:
            if server.name in primary.streams:
                behind = primary.lag_bytes[server.name]
                return f"streams from {primary.name} ({primary.streams[server.name]}), {behind} bytes behind"
        return "does not stream"
    return server.seen


def change_text(change: DatabaseChange, findings: Sequence[Finding], colour: bool) -> str:
    """What was done and seen, then the cluster as it is."""
    before = ", ".join(change.before.primaries) or "nobody"
    words = {
        "switchover": f"{change.server} is the primary; before it was {before}",
        "promote": f"{change.server} is the primary; before it was {before}",
        "reinit": f"{change.server} is a copy of {', '.join(change.after.primaries)} and streams from it",
        "pause": "automatic failover is switched off until `database.resume`",
        "resume": "automatic failover is switched on",
    }
    return "\n".join([words[change.action], text(change.after, findings, colour)])
