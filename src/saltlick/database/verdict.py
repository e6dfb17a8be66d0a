"""What is wrong with a database cluster, in words: what is known, what is not, and the command that comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from saltlick.database.cluster import DatabaseCluster, DatabaseRole


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and what to type (`command`, empty where there is nothing to type). `red` wakes somebody."""

    text: str
    command: str = ""
    red: bool = True


def findings(cluster: DatabaseCluster) -> tuple[Finding, ...]:
    """Everything that is wrong, the worst first; empty when one primary serves and each standby streams from it."""
    return tuple(_findings(cluster))


def _findings(cluster: DatabaseCluster) -> Iterator[Finding]:
    yield from _primaries(cluster)
    yield from _servers(cluster)
    yield from _failover(cluster)


def _primaries(cluster: DatabaseCluster) -> Iterator[Finding]:
    name, primaries = cluster.environment, cluster.primaries
    unseen = cluster.of_role(DatabaseRole.UNSEEN)
    if len(primaries) > 1:
        yield Finding(
            f"{' and '.join(primaries)} both say that they are the primary: what is written now is in one of them only. "
            f"Decide whose data is kept; the command makes {primaries[-1]} anew, and what only that one has serves no more",
            f"salt-run database.reinit {name} server={primaries[-1]}",
        )
    elif not primaries and unseen:
        yield Finding(f"no server that can be seen is the primary, and {', '.join(unseen)} cannot be seen")
    elif not primaries:
        standbys = cluster.of_role(DatabaseRole.STANDBY)
        yield Finding(
            "there is no primary: nothing can be written",
            f"salt-run database.promote {name} server={standbys[0]}" if standbys and _may_choose(cluster) else "",
        )


def _may_choose(cluster: DatabaseCluster) -> bool:
    return not cluster.managed or any(server.patroni and server.patroni.majority for server in cluster.servers)


def _servers(cluster: DatabaseCluster) -> Iterator[Finding]:
    for server in cluster.servers:
        if server.role is DatabaseRole.UNSEEN:
            yield Finding(f"{server.name} cannot be seen: {server.seen}")
        elif server.role is DatabaseRole.DOWN:
            yield Finding(f"{server.name}: the database does not answer: {server.seen}")
        elif server.role is DatabaseRole.STANDBY and len(cluster.primaries) == 1 and not _streams(cluster, server.name):
            yield Finding(
                f"{server.name} is a standby and does not stream from {cluster.primaries[0]}: it falls behind",
                f"salt-run database.reinit {cluster.environment} server={server.name}",
            )


def _streams(cluster: DatabaseCluster, name: str) -> bool:
    return name in cluster.healthy_standbys


def _failover(cluster: DatabaseCluster) -> Iterator[Finding]:
    if len(cluster.servers) > 1 and not cluster.managed:
        yield Finding("nobody takes over by itself when the primary dies: postgresql:failover is not set", red=False)
    if cluster.paused:
        yield Finding("automatic failover is switched off", f"salt-run database.resume {cluster.environment}")
    for server in cluster.servers:
        if not (patroni := server.patroni):
            continue
        if not patroni.answers:
            yield Finding(f"{server.name}: {patroni.why}: nobody watches over its database")
        silent = [voice for voice, answers in patroni.voices.items() if not answers]
        if not patroni.majority:
            yield Finding(
                f"{server.name} sees no majority of etcd ({', '.join(silent)} silent): nobody is promoted, and a primary "
                "goes on only while it reaches all other members"
            )
        elif silent:
            yield Finding(
                f"{server.name}: etcd of {', '.join(silent)} is silent. Without one more, nobody is promoted", red=False
            )
        if patroni.pending_restart:
            yield Finding(f"{server.name}: a setting waits for a restart, which the next highstate does", red=False)
