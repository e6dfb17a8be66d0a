"""One server for all backup tests, in the order of their files: they build on what is stored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from formulas.backup.backup_vault import Vault
from formulas.servers import SALT_CALL, Server, converged


@pytest.fixture(scope="package")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The suite's server, converged, for all files of this folder."""
    if os.environ.get("KITCHEN_CONTAINER_ID"):
        pytest.skip("Test Kitchen converged this suite")
    with converged("backup", request.getfixturevalue("network")) as server:
        yield server


@pytest.fixture(scope="package")
def vault(server: Server) -> Vault:
    return answering(server)


def answering(server: Server) -> Vault:
    """A converged server whose functions can be called."""
    server.run(f"{SALT_CALL} --local saltutil.sync_modules >/dev/null")
    server.write("/root/caller.py", (Path(__file__).parent / "caller.py").read_text())
    server.run("systemd-run --quiet --unit=caller /opt/saltlick/venv/bin/python /root/caller.py")
    server.run("for i in $(seq 300); do test -S /run/caller.sock && exit 0; sleep 0.1; done; exit 1")
    return Vault(server)
