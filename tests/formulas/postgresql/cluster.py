"""A pair of database servers with Patroni, and the third voice of their etcd."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import docker
from docker.models.containers import Container
from formulas.kitchen import suites
from formulas.servers import Server
from support.database_writers import Writer

PSQL = "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1"
PATRONICTL = "/opt/patroni/bin/patronictl -c /etc/saltlick/patroni.yml"
WITHIN_S = 30


class Cluster:
    """The servers by their part. Servers start with `boot`; `apply` converges one."""

    def __init__(self, network: str, synchronous: bool = True) -> None:
        self.network = network
        client = docker.from_env(timeout=300)
        suite = suites()["postgresql"]
        self.databases = [Server(suite, client, network, number) for number in (1, 2)]
        self.witness = Server(suite, client, network, 3)
        self.servers = [*self.databases, self.witness]
        self.synchronous = synchronous
        self.addresses: dict[str, str] = {}

    def boot(self) -> None:
        """Start all servers; from then on their addresses are known."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Server.boot, self.servers))
        self.addresses = {server.id: server.address for server in self.servers}

    def remove(self) -> None:
        """Delete all servers."""
        for server in self.servers:
            server.remove()

    @property
    def pillar(self) -> dict[str, Any]:
        """What the database servers' pillar says."""
        members = {server.id: self.addresses[server.id] for server in self.databases}
        return {
            "roles": ["etcd", "postgresql"],
            "etcd": {"clusters": {"shop": {"members": self.addresses}}},
            "postgresql": {
                **self.databases[0].suite.pillar["postgresql"],
                "members": members,
                "networks": ["192.168.0.0/16"],
                "users": {"shop": {"password": "shop"}},
                "replication": {"password": "it's: a \\ secret"},
                "wait_for_primary_s": 120,
                "failover": {
                    "cluster": "shop", "within_s": WITHIN_S, "password": "promote", "synchronous": self.synchronous,
                },
            },
        }  # fmt: skip

    def apply(self, server: Server) -> dict[str, dict[str, Any]]:
        """The highstate of one server."""
        return server.apply(**{**self.pillar, **({"roles": ["etcd"]} if server is self.witness else {})})

    def apply_to_all(self) -> dict[str, list[str]]:
        """The highstate of all servers at once: what changed, by server."""
        with ThreadPoolExecutor() as pool:
            applied = dict(pool.map(lambda server: (server.id, self.apply(server)), self.servers))
        return {id_: [name for name, state in states.items() if state["changes"]] for id_, states in applied.items()}

    def ask(self, server: Server, sql: str, database: str = "postgres") -> str:
        """What the server's own database answers. Raises: AssertionError."""
        return server.run(f'{PSQL} -d {database} -c "{sql}"').strip()

    def roles(self) -> tuple[Server, Server]:
        """(primary, standby), as the databases say; both have to answer."""
        answers = {server.id: self.ask(server, "select pg_is_in_recovery()") for server in self.databases}
        assert sorted(answers.values()) == ["f", "t"], answers
        return tuple(sorted(self.databases, key=lambda server: answers[server.id]))  # type: ignore[return-value] # of two

    def members(self, server: Server) -> dict[str, dict[str, Any]]:
        """What Patroni says of both members, asked on that server."""
        listed = json.loads(server.run(f"{PATRONICTL} list --format json"))
        return {member["Member"]: member for member in listed}

    def wait_until_whole(self, within_s: float = 120) -> tuple[Server, Server]:
        """(primary, standby) once the standby streams, and synchronously where that is declared. Raises: AssertionError."""
        wanted = "sync" if self.synchronous else "async"
        seen = ""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                primary, standby = self.roles()
                query = f"select sync_state from pg_stat_replication where application_name = '{standby.id}'"
                seen = self.ask(primary, query)
                if seen == wanted:
                    return primary, standby
            except AssertionError as error:
                seen = str(error)
            time.sleep(0.5)
        raise AssertionError(f"no primary with a {wanted} standby within {within_s} s: {seen}")

    def wait_until_primary(self, server: Server, within_s: float) -> None:
        """Raises: AssertionError when the server is not the primary within that time."""
        deadline = time.monotonic() + within_s
        while self.ask(server, "select pg_is_in_recovery()") != "f":
            assert time.monotonic() < deadline, f"{server.id} is not the primary within {within_s} s"
            time.sleep(0.2)

    def conninfo(self, *servers: Server) -> str:
        """How a client finds whoever of these servers can be written to."""
        hosts = ",".join(self.addresses[server.id] for server in servers)
        return f"host={hosts} user=shop password=shop dbname=shop target_session_attrs=read-write"

    @contextmanager
    def writers(self, table: str) -> Iterator[tuple[Writer, list[Writer]]]:
        """A writer that follows the primary as an application does, and one that is bound to each server."""
        primary, _ = self.wait_until_whole()
        names = [table, *(f"{table}_{number}" for number in (1, 2))]
        self.ask(primary, "; ".join(f"create table {name} (number bigint primary key)" for name in names), "shop")
        for name in names:
            self.ask(primary, f"alter table {name} owner to shop", "shop")
        with (
            Writer(self.conninfo(*self.databases), table) as following,
            Writer(self.conninfo(self.databases[0]), f"{table}_1") as first,
            Writer(self.conninfo(self.databases[1]), f"{table}_2") as second,
        ):
            following.wait_for_writes(time.monotonic(), within_s=20)
            yield following, [first, second]

    def lost(self, writer: Writer) -> list[int]:
        """Numbers that were acknowledged and are not in the database."""
        primary, _ = self.wait_until_whole()
        there = {int(line) for line in self.ask(primary, f"select number from {writer.table}", "shop").split()}
        return [write.number for write in writer.acknowledged if write.number not in there]


def container(server: Server) -> Container:
    """The server's container, for what happens to a machine."""
    assert server.container is not None
    return server.container


def power_on(cluster: Cluster, server: Server) -> None:
    """Start a server that is off, at the address that it had: Docker gives one that stopped any that is free."""
    network = docker.from_env().networks.get(cluster.network)
    network.disconnect(container(server))
    network.connect(container(server), ipv4_address=cluster.addresses[server.id])
    container(server).start()


Fault = Callable[[Cluster, Server], Callable[[], None]]
"""Does it to the primary; returns what ends it."""


def process_killed(cluster: Cluster, server: Server) -> Callable[[], None]:
    """The database's main process dies."""
    server.run("kill -9 $(head -1 /var/lib/postgresql/15/main/postmaster.pid)")
    return lambda: None


def powered_off(cluster: Cluster, server: Server) -> Callable[[], None]:
    """The machine is off, and boots again at the end."""
    container(server).kill()
    return lambda: power_on(cluster, server)


def patroni_frozen(cluster: Cluster, server: Server) -> Callable[[], None]:
    """Patroni alone stands still, and the database does not know."""
    pid = server.run("systemctl show -p MainPID --value saltlick-patroni").strip()
    server.run(f"kill -STOP {pid}")

    def go_on() -> None:
        server.run(f"kill -CONT {pid}")

    return go_on


def machine_frozen(cluster: Cluster, server: Server) -> Callable[[], None]:
    """Every process stands still, and goes on at the end as if nothing had been."""
    container(server).pause()
    return container(server).unpause


def network_cut(cluster: Cluster, server: Server) -> Callable[[], None]:
    """No packet gets in or out; processes go on."""
    network = docker.from_env().networks.get(cluster.network)
    network.disconnect(container(server))
    return lambda: network.connect(container(server), ipv4_address=cluster.addresses[server.id])


FAULTS: dict[str, Fault] = {
    "process killed": process_killed,
    "powered off": powered_off,
    "Patroni frozen": patroni_frozen,
    "machine frozen": machine_frozen,
    "network cut": network_cut,
}
