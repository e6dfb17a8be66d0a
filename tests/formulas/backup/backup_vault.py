"""A server's backups in a store of its own, and the database that is backed up."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from formulas.servers import Server

T0 = datetime(2026, 11, 2, 2, 0, tzinfo=timezone.utc)
PSQL = "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1"
VAULT = "/srv/backups"
ANSWERS = "until rsync rsync://127.0.0.1/ >/dev/null 2>&1; do sleep 0.1; done"
"""systemd takes the daemon for started before it listens."""


class Vault:
    """Backups of one server; ids go by a clock of their own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._number = 0

    def call(self, function: str, *arguments: Any, **named: Any) -> Any:
        """What a function of the module returns; AssertionError with its error."""
        code, said = self.attempt(function, *arguments, **named)
        assert code == 0, said
        return said

    def attempt(self, function: str, *arguments: Any, **named: Any) -> tuple[int, Any]:
        """Exit code, and the value or the error."""
        request = {"function": f"backup.{function}", "args": arguments, "kwargs": named}
        self.server.write("/root/request.json", json.dumps(request))
        answer = json.loads(self.server.run("python3 /root/caller.py ask /root/request.json"))
        return answer["code"], answer["value"]

    def next_id(self, mode: str) -> str:
        self._number += 1
        return f"{T0 + timedelta(hours=self._number):%Y%m%dT%H%M%SZ}-{mode}"

    def take(self, job: str, kind: str, mode: str = "full", **more: Any) -> dict[str, Any]:
        return self.call("take", "vault", job, self.next_id(mode), kind, mode=mode, environment="prod", **more)

    def manifests(self, job: str) -> dict[str, dict[str, Any]]:
        """By id, in their order."""
        manifests = self.call("catalogue", "vault", [job])["manifests"]
        return {manifest["id"]: manifest for manifest in sorted(manifests, key=lambda manifest: manifest["id"])}

    def ids(self, job: str) -> list[str]:
        return list(self.manifests(job))

    def chain(self, job: str) -> list[str]:
        """The newest backup with all that it builds on."""
        known = self.manifests(job)
        links = [list(known)[-1]]
        while known[links[0]]["previous"]:
            links.insert(0, known[links[0]]["previous"])
        return links


def sql(vault: Vault, statement: str, database: str = "shop") -> str:
    return vault.server.run(f'{PSQL} -d {database} -c "{statement}"').strip()


def write(vault: Vault, number: int) -> str:
    """Acknowledged rows; the moment after the last."""
    sql(vault, "create table if not exists orders (id int primary key, at timestamptz default clock_timestamp())")
    sql(
        vault,
        f"insert into orders (id) select n + (select coalesce(max(id), 0) from orders) from generate_series(1, {number}) n",
    )
    return sql(vault, "select clock_timestamp()")


def orders(vault: Vault) -> str:
    return sql(vault, "select count(*) from orders")


def counted(number: int) -> list[dict[str, Any]]:
    return [{"name": "orders", "database": "shop", "query": "select count(*) from orders", "equals": number}]
