"""The wheel and the sdist carry what they must, and nothing that must not be in them."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

TREES = ("bootstrap", "custodian", "orch", "salt")
LOADER_FOLDERS = {"_modules": "modules", "_output": "output", "_runners": "runners", "_states": "states"}


@pytest.fixture(scope="module")
def wheel(built) -> frozenset[str]:
    return frozenset(zipfile.ZipFile(built.wheel).namelist())


@pytest.fixture(scope="module")
def sdist(built) -> frozenset[str]:
    with tarfile.open(built.sdist) as archive:
        return frozenset(name.partition("/")[2] for name in archive.getnames())


def files(checkout: Path, folder: str) -> set[str]:
    """What git has (or would have) in a folder, relative to it; what lies behind links included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", folder]
    names = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout.split("\0")
    found = set()
    for name in filter(None, names):
        path = checkout / name
        inner = str(Path(name).relative_to(folder))
        if path.is_symlink() and path.is_dir():
            target = str(path.resolve().relative_to(checkout))
            found |= {f"{inner}/{below}" for below in files(checkout, target)}
        elif path.is_file():
            found.add(inner)
    return found


@pytest.mark.parametrize("folder", LOADER_FOLDERS)
def test_wheel_carries_the_loader_folders(checkout, wheel, folder):
    there = files(checkout, folder)
    assert there or folder == "_modules", f"{folder} is empty"
    assert {f"saltlick/{LOADER_FOLDERS[folder]}/{name}" for name in there} <= wheel


@pytest.mark.parametrize("name", TREES)
def test_wheel_carries_every_tree_that_exists(checkout, wheel, name):
    if not (checkout / name).is_dir():
        assert name == "custodian", f"{name} is gone"
        return
    assert {f"saltlick/_tree/{name}/{below}" for below in files(checkout, name)} <= wheel


def test_wheel_carries_every_file_of_the_package(checkout, wheel):
    assert {f"saltlick/{name}" for name in files(checkout, "src/saltlick")} <= wheel


def test_wheel_carries_nothing_else(wheel):
    """No example pillar, no tests, no leftovers, no top-level package `salt` beside Salt's own."""
    outside = {name.partition("/")[0] for name in wheel if ".dist-info/" not in name}
    assert outside == {"saltlick"}
    assert not [name for name in wheel if name.endswith((".pyc", ".orig", "~")) or name.startswith("pillar/")]
    assert not [name for name in wheel if "pillar/" in name and not name.endswith(".py")]


def test_licence_is_in_the_wheel(wheel):
    assert [name for name in wheel if ".dist-info/" in name and name.endswith("LICENSE")]


def test_sdist_is_what_git_tracks(checkout, sdist):
    """Tests, docs and scripts too: who packages it for a distribution wants to run the tests."""
    wanted = {name for name in files(checkout, ".") if not name.startswith(".git")}
    assert not sorted(wanted - sdist)


def test_state_tree_holds_no_package(checkout):
    """One `__init__.py` in salt/ and every `import salt` from the checkout finds that: nothing of Salt works."""
    assert not list((checkout / "salt").rglob("__init__.py"))


def test_packages_are_all_named(checkout):
    """The list in pyproject.toml against what is on disk: automatic discovery cannot be used here."""
    setup = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    source = checkout / "src"
    on_disk = {".".join(path.parent.relative_to(source).parts) for path in source.rglob("__init__.py")}
    assert on_disk == {name for name in setup["packages"] if name not in setup["package-dir"] or name == "saltlick"}
    assert all((checkout / folder).is_dir() for folder in setup["package-dir"].values())
