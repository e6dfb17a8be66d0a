"""What the servers of a database cluster say of themselves, and what is wrong with it. Pure: replies in, facts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from saltlick.fleet.ports import Reply


class DatabaseRole(str, Enum):
    """What a server's database is. `UNSEEN`: the server did not answer, so nobody knows."""

    PRIMARY = "primary"
    STANDBY = "standby"
    DOWN = "down"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedBy:
    """What the server's Patroni says, and which members of etcd (`voices`) answer it."""

    answers: bool
    why: str = ""
    state: str = ""
    paused: bool = False
    pending_restart: bool = False
    voices: Mapping[str, bool] = field(default_factory=dict)

    @property
    def majority(self) -> bool:
        """Whether more than half of the voices answer, so that a primary can be chosen."""
        return sum(self.voices.values()) * 2 > len(self.voices)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseServer:
    """One server as it was seen in one look. `streams`: each standby that a primary sends to, and how (`sync`, `async`)."""

    name: str
    role: DatabaseRole
    seen: str
    streams: Mapping[str, str] = field(default_factory=dict)
    lag_bytes: Mapping[str, int] = field(default_factory=dict)
    receiving: bool = False
    patroni: ManagedBy | None = None


@dataclass(frozen=True, slots=True)
class DatabaseCluster:
    """All declared servers of one environment's database, seen in one look."""

    environment: str
    servers: tuple[DatabaseServer, ...]

    def of_role(self, role: DatabaseRole) -> tuple[str, ...]:
        """Names of the servers whose database is that."""
        return tuple(server.name for server in self.servers if server.role is role)

    @property
    def primaries(self) -> tuple[str, ...]:
        """Names of the servers that say they are the primary: one, if all is well."""
        return self.of_role(DatabaseRole.PRIMARY)

    @property
    def managed(self) -> bool:
        """Whether Patroni runs the database."""
        return any(server.patroni is not None for server in self.servers)

    @property
    def paused(self) -> bool:
        """Whether automatic failover is switched off."""
        return any(server.patroni.paused for server in self.servers if server.patroni)

    @property
    def healthy_standbys(self) -> tuple[str, ...]:
        """Standbys that stream from the primary, by both ends."""
        sends_to = {name for server in self.servers for name in server.streams}
        return tuple(server.name for server in self.servers if server.receiving and server.name in sends_to)


def seen_cluster(environment: str, replies: Mapping[str, Reply]) -> DatabaseCluster:
    """The cluster from each server's reply to `database.status`."""
    return DatabaseCluster(environment, tuple(_server(name, reply) for name, reply in replies.items()))


def _server(name: str, reply: Reply) -> DatabaseServer:
    if not reply.ok or not isinstance(reply.value, Mapping):
        return DatabaseServer(name=name, role=DatabaseRole.UNSEEN, seen=reply.error or "it answers nonsense")
    value = reply.value
    streams: Sequence[Mapping[str, Any]] = value.get("streams") or ()
    return DatabaseServer(
        name=name,
        role=DatabaseRole(value["role"]),
        seen=str(value["seen"]),
        streams={str(stream["name"]): str(stream["sync"]) for stream in streams},
        lag_bytes={str(stream["name"]): int(stream["lag"] or 0) for stream in streams},
        receiving=bool(value.get("receiving")),
        patroni=_patroni(value.get("patroni") or {}),
    )


def _patroni(value: Mapping[str, Any]) -> ManagedBy | None:
    if not value:
        return None
    return ManagedBy(
        answers=bool(value["answers"]),
        why=str(value.get("why", "")),
        state=str(value.get("state", "")),
        paused=bool(value.get("paused")),
        pending_restart=bool(value.get("pending_restart")),
        voices={str(name): bool(answers) for name, answers in (value.get("voices") or {}).items()},
    )
