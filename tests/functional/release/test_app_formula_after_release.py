"""The formula `app` and the module `revision` over the same folders: neither undoes the other's work.

Only the states that decide which revision a server has are run, on this machine, in a folder of the test's own.
"""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import salt.client
import salt.config
import salt.loader
import yaml
from support import minion_modules

LATEST = ("name", "rev", "target", "force_fetch", "force_reset")  # not `user`: a login shell for each call of git
STATES = ("app-release-source", "app-release-built", "app-service-activated")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    who = {f"GIT_{role}_{what}": "t@t" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    main = "git init -q -b main .; echo 1 > a; git add a; git commit -qm 1"
    subprocess.run(
        ["sh", "-ec", f"{main}; git checkout -qb next; echo 2 > a; git commit -qam 2"],
        cwd=folder,
        env={**os.environ, **who},
        check=True,
    )
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """As the formula's earlier states leave it."""
    home = tmp_path / "app"
    for name in ("bin", "source", "releases"):
        (home / name).mkdir(parents=True)
    script = home / "bin/build-release"
    script.write_bytes((minion_modules.ROOT / "salt/app/files/build-release.sh").read_bytes())
    script.chmod(0o755)
    return home


class Server(NamedTuple):
    """Execution functions by `cmd`, states by name."""

    cmd: Callable[..., Any]
    states: Any


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """`salt-call --local` of a server that has the role."""
    folder = tmp_path_factory.mktemp("minion")
    (folder / "pillar").mkdir()
    (folder / "pillar/top.sls").write_text("base: {'*': [suite]}")
    (folder / "pillar/suite.sls").write_text("roles: [app]")
    config = {
        "file_client": "local", "id": "test-app-1", "root_dir": str(folder), "enable_fqdns_grains": False,
        "file_roots": {"base": [str(minion_modules.ROOT / "salt")]}, "pillar_roots": {"base": [str(folder / "pillar")]},
        "grains": {"os": "Debian", "os_family": "Debian", "osmajorrelease": 12, "kernel": "Linux"},
    }  # fmt: skip
    (folder / "minion").write_text(yaml.safe_dump(config))
    opts = salt.config.minion_config(str(folder / "minion"), cache_minion_id=False)
    caller = salt.client.Caller(mopts=opts)
    functions = caller.sminion.functions
    states = salt.loader.states(caller.opts, functions, salt.loader.utils(opts), salt.loader.serializers(opts))
    states.inject_globals = {"__env__": "base"}
    return Server(caller.cmd, states)


@pytest.fixture
def highstate(server: Server, repository: Path, home: Path) -> Callable[..., list[str]]:
    """highstate(revision="main", follow=…): which of those states changed something."""

    def apply(**parameters: Any) -> list[str]:
        app = {
            "repository": str(repository), "dir": str(home), "user": getpass.getuser(), "python": "true",
            "requirements": "none", "revision": "main", **parameters,
        }  # fmt: skip
        lows = {low["__id__"]: low for low in server.cmd("state.show_low_sls", "app", pillar={"app": app})}
        return [name for name in STATES if _run(server, lows[name])]

    return apply


@pytest.fixture
def release(tmp_path: Path, repository: Path, home: Path) -> Callable[[str], str]:
    """release("next"): what `release.rolling` does on a server; returns the SHA."""
    modules = minion_modules.modules(tmp_path / "module", "revision")

    def ship(rev: str) -> str:
        sha = modules["revision.resolve"](str(repository), rev, directory=str(home))
        modules["revision.prepare"](str(home), str(repository), sha)
        modules["revision.built"](str(home), sha)
        modules["revision.activate"](str(home), sha)
        return sha

    return ship


def _sha(repository: Path, rev: str) -> str:
    return subprocess.run(
        ["git", "rev-parse", rev], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.strip()


def _current(home: Path) -> str:
    return (home / "current" / "REVISION").read_text().strip()


def _run(server: Server, low: dict[str, Any]) -> bool:
    """One state, its `unless` included. As a whole highstate does it, but without compiling one for each."""
    if low.get("unless") and subprocess.run(["sh", "-c", low["unless"]], stderr=subprocess.DEVNULL).returncode == 0:
        return False
    if low["state"] == "cmd":
        subprocess.run(["sh", "-c", low["name"]], check=True)
        return True
    told = server.states["git.latest"](**{key: value for key, value in low.items() if key in LATEST})
    assert told["result"] is True, told
    return bool(told["changes"])


def test_a_new_server_gets_the_revision_of_pillar(highstate, home, repository):
    assert highstate() == list(STATES)
    assert _current(home) == _sha(repository, "main")
    assert highstate() == []


def test_a_highstate_does_not_undo_a_release(highstate, release, home, repository):
    highstate()
    sha = release("next")
    assert sha == _sha(repository, "next")
    assert highstate(revision="next") == []
    assert _current(home) == sha


def test_the_repository_may_be_away_while_a_server_keeps_its_release(highstate, release, home):
    sha = release("next")
    assert highstate(repository="http://127.0.0.1:1/away.git") == []
    assert _current(home) == sha


def test_a_server_that_follows_goes_where_pillar_says(highstate, release, home, repository):
    """Also over a clone that only a release made."""
    release("next")
    assert "app-service-activated" in highstate(follow=True)
    assert _current(home) == _sha(repository, "main")
    assert highstate(follow=True) == []
    assert highstate(follow=True, revision="next") == ["app-release-source", "app-service-activated"]


def test_a_current_link_that_leads_nowhere_is_mended(highstate, home, repository):
    (home / "current").symlink_to("releases/gone")
    highstate()
    assert _current(home) == _sha(repository, "main")
