"""Which instance each admitted server is. A tag is what anybody may write; an instance id is given once, by AWS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from saltlick.engine.plan import Plan, Verb

if TYPE_CHECKING:
    from saltlick.jobs.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS admitted_instances (
    environment TEXT NOT NULL, address TEXT NOT NULL, instance TEXT NOT NULL, PRIMARY KEY (environment, address)
);
"""


class KnownInstances:
    """The instance ids of the servers that this master admitted, by address (`instance/app-1`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(SCHEMA)

    def ids(self, environment: str) -> Mapping[str, str]:
        """Instance ids by address."""
        rows = self._store.db.execute(
            "SELECT address, instance FROM admitted_instances WHERE environment = ?", (environment,)
        )
        return {row["address"]: row["instance"] for row in rows}

    def remember(self, environment: str, address: str, instance_id: str) -> None:
        """Bind a server to its instance. Only `release` loosens that."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO admitted_instances VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (environment, address, instance_id),
            )

    def release(self, environment: str, addresses: Iterable[str]) -> None:
        """Forget the instances of servers that Saltlick itself makes, replaces or destroys."""
        with self._store.transaction() as db:
            db.executemany(
                "DELETE FROM admitted_instances WHERE environment = ? AND address = ?",
                [(environment, address) for address in addresses],
            )


def remade(plan: Plan) -> dict[str, list[str]]:
    """The addresses of servers whose instance a plan makes, replaces or deletes, by environment."""
    found: dict[str, list[str]] = {}
    for action in plan.actions:
        if action.key.kind == "instance" and action.verb in {Verb.CREATE, Verb.REPLACE, Verb.DELETE}:
            found.setdefault(action.key.environment, []).append(action.key.address)
    return found
