"""The database servers of the sandbox's environments, asked as themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saltlick.sandbox.control import Sandbox

ADDRESSES = {
    "prod": {"prod-db-1": "10.10.10.20", "prod-db-2": "10.10.11.20"},
    "test": {"test-db-1": "10.20.10.20", "test-db-2": "10.20.11.20"},
}


def sql(sandbox: Sandbox, server: str, query: str, database: str = "app") -> str:
    done = sandbox.run(server, ["su", "postgres", "-c", f'psql -XAtq -d {database} -c "{query}"'])
    assert done.returncode == 0, (server, done.stdout, done.stderr)
    return done.stdout.strip()


def roles(sandbox: Sandbox, environment: str) -> tuple[str, str]:
    """The primary and the standby, as they say themselves."""
    said = {server: sql(sandbox, server, "select pg_is_in_recovery()") for server in ADDRESSES[environment]}
    assert sorted(said.values()) == ["f", "t"], said
    standby, primary = sorted(said, key=lambda server: said[server] == "f")
    return primary, standby
