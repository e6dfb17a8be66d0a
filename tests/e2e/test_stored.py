"""The data tier as the orchestration leaves it: what the application was told is on the primary, and on the standby too.

After the other tests, because it builds `control`'s own roles and all of `prod` as well.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from e2e.databases import ADDRESSES, roles, sql
from e2e.estate import MASTER, deploy, fetch, page_url, post

if TYPE_CHECKING:
    from saltlick.sandbox.control import Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

STANDBY_S = 60


def eventually(sandbox: Sandbox, server: str, query: str, wanted: str) -> None:
    deadline = time.monotonic() + STANDBY_S
    while (rows := sql(sandbox, server, query)) != wanted:
        assert time.monotonic() < deadline, f"{server} has {rows!r} after {STANDBY_S} s, not {wanted!r}"
        time.sleep(0.2)


@pytest.mark.parametrize("environment", ["test", "prod"])
def test_notes_are_on_the_primary_and_on_the_standby(
    sandbox: Sandbox, built: dict[str, Any], request: pytest.FixtureRequest, environment: str
) -> None:
    if environment == "prod":
        request.getfixturevalue("prod")
    url = page_url(sandbox, environment)
    texts = [f"note {number} of {environment}, {time.time()}" for number in range(6)]
    stored = [post(url, text) for text in texts]
    assert {note["server"] for note in stored} == {f"{environment}-app-1", f"{environment}-app-2"}

    primary, standby = roles(sandbox, environment)
    ids = ",".join(str(note["id"]) for note in stored)
    query = f"select text from notes where id in ({ids}) order by id"
    assert sql(sandbox, primary, query).splitlines() == texts
    eventually(sandbox, standby, query, "\n".join(texts))

    where = fetch(f"{url.rstrip('/')}/health/database")
    assert (where["address"], where["role"]) == (ADDRESSES[environment][primary], "primary")
    notes = fetch(f"{url.rstrip('/')}/notes")
    assert [note["text"] for note in notes["last"][:6]] == texts[::-1]
    # A second old at most on each instance, and there are four.
    time.sleep(1.2)
    assert fetch(url)["notes"] == sql(sandbox, primary, "select count(*) from notes")


def test_keepalived_says_who_can_write(sandbox: Sandbox, built: dict[str, Any]) -> None:
    primary, standby = roles(sandbox, "test")
    states = {
        server: sandbox.run(server, ["cat", "/run/keepalived.state"]).stdout.strip() for server in (primary, standby)
    }
    assert states == {primary: "MASTER", standby: "BACKUP"}


def test_one_server_runs_zeo_and_the_application_servers_reach_it(sandbox: Sandbox, built: dict[str, Any]) -> None:
    reach = "import socket, sys; socket.create_connection((sys.argv[1], 8100), 3)"
    exit_codes = {
        server: sandbox.run("test-app-1", ["python3", "-c", reach, address]).returncode
        for server, address in ADDRESSES["test"].items()
    }
    assert exit_codes == {"test-db-1": 0, "test-db-2": 1}


def test_the_master_keeps_backups_of_each_environment_apart(
    sandbox: Sandbox, built: dict[str, Any], control: dict[str, Any]
) -> None:
    def bring(module: str) -> int:
        password, store = "example-backups-test", f"rsync://test@172.20.0.10/{module}"
        command = f"echo brought >/tmp/probe && RSYNC_PASSWORD={password} rsync /tmp/probe {store}/probe"
        return sandbox.run("test-db-2", ["sh", "-c", command]).returncode

    assert bring("test-backups") == 0
    assert sandbox.run(MASTER, ["cat", "/srv/backups/test/probe"]).stdout == "brought\n"
    assert bring("prod-backups") != 0
    assert sandbox.run(MASTER, ["rm", "/srv/backups/test/probe"]).returncode == 0


def test_the_masters_own_deployment_again_changes_nothing(sandbox: Sandbox, control: dict[str, Any]) -> None:
    changed = {name: state["changes"] for name, state in deploy(sandbox, "control").items() if state["changes"]}
    assert changed == {}
