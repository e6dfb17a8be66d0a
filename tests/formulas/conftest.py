"""Suites of kitchen.yml: `server` is the suite's server, converged; `host` the same for testinfra.

The folder's name is the suite's. Under Test Kitchen, which has converged already, `host` is Kitchen's container.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import docker
import pytest
import testinfra
from formulas.kitchen import suites
from formulas.servers import Server, converged, make_network
from testinfra.host import Host


@pytest.fixture(scope="session")
def network() -> Iterator[str]:
    """The network of all suites' servers."""
    made = make_network(docker.from_env())
    assert made.name
    yield made.name
    made.remove()


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The suite's server after a first highstate that changed something and a second that changed nothing."""
    if os.environ.get("KITCHEN_CONTAINER_ID"):
        pytest.skip("Test Kitchen converged this suite")
    with converged(request.path.parent.name, request.getfixturevalue("network")) as server:
        yield server


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """Two servers of the suite, booted and not converged: each can only be told of the other now."""
    if os.environ.get("KITCHEN_CONTAINER_ID"):
        pytest.skip("Test Kitchen has one server")
    network = request.getfixturevalue("network")
    client = docker.from_env(timeout=300)
    first, second = (Server(suites()[request.path.parent.name], client, network, number) for number in (1, 2))
    try:
        first.boot()
        second.boot()
        yield first, second
    finally:
        first.remove()
        second.remove()


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest) -> Host:
    """The suite's server as testinfra sees it."""
    container = os.environ.get("KITCHEN_CONTAINER_ID")
    if not container:
        container = request.getfixturevalue("server").container.id
    return testinfra.get_host(f"docker://{container}")
