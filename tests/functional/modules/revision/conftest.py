"""The execution module `revision`, loaded by Salt's own loader, over real git repositories served as plain files."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import minion_modules
from support.git_repository import Repository


@pytest.fixture(scope="module")
def revision(tmp_path_factory: pytest.TempPathFactory) -> Any:
    loaded = minion_modules.modules(tmp_path_factory.mktemp("minion"), "revision")
    return lambda function, *args, **kwargs: loaded[f"revision.{function}"](*args, **kwargs)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, list[str]]]:
    """A folder, its address, and the requests that came."""
    folder, requests = tmp_path_factory.mktemp("git"), []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_: object) -> None:
            requests.append(self.command)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}", requests
        server.shutdown()


@pytest.fixture
def repository(served: tuple[Path, str, list[str]], request: pytest.FixtureRequest) -> Repository:
    name = f"{abs(hash(request.node.name))}.git"
    return Repository(served[0] / name, f"{served[1]}/{name}")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "app"


@pytest.fixture
def ship(revision: Any, repository: Repository, home: Path) -> Any:
    """A release as a whole: prepared, built, current, good; returns its SHA."""

    def release(*, good: bool | None = True, active: bool = True, **files: str) -> str:
        sha = repository.commit(**(files or {"n": os.urandom(4).hex()}))
        revision("prepare", str(home), repository.address, sha)
        revision("built", str(home), sha)
        if active:
            revision("activate", str(home), sha)
        if good is not None:
            revision("mark", str(home), sha, good=good)
        return sha

    return release
