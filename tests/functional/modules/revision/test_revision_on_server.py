"""Releases beside the formula's own, files of the application's user, notes and free space."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError
from support import minion_modules
from support.git_repository import release_states

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as a minion has it")


def test_what_the_formula_built_can_be_gone_back_to(revision, repository, home, ship):
    """salt/app's own script, over the same clone: its folder is complete, counts as good and can be made current."""
    first = ship()
    second = repository.commit(a="formula")
    revision("checkout", str(home), repository.address, second)
    script = minion_modules.ROOT / "salt/app/files/build-release.sh"
    subprocess.run(["sh", script, home / "source", home / "releases", "true", "none.txt"], check=True)
    assert release_states(revision, home) == {first: "good", second: "good"}
    assert revision("prepare", str(home), repository.address, second)["state"] == "built"
    assert revision("activate", str(home), second)["previous"] == first


COMMITTED = datetime(2020, 1, 1, tzinfo=timezone.utc).timestamp()


def test_both_ways_lay_out_the_same_files(revision, repository, home, tmp_path):
    sha = repository.commit(app_py="1", static__x="x")
    revision("prepare", str(home), repository.address, sha)
    revision("built", str(home), sha)
    revision("checkout", str(home), repository.address, sha)
    script = minion_modules.ROOT / "salt/app/files/build-release.sh"
    subprocess.run(["sh", script, home / "source", tmp_path / "other", "true", "none.txt"], check=True)
    ours, theirs = home / "releases" / sha, tmp_path / "other" / sha
    assert {p.relative_to(ours) for p in ours.rglob("*")} - {p.relative_to(theirs) for p in theirs.rglob("*")} == {
        Path(".saltlick.json")
    }
    for path in (p for p in theirs.rglob("*") if p.is_file() and p.name != "REVISION_TIME"):
        other = ours / path.relative_to(theirs)
        assert path.read_bytes() == other.read_bytes()
        assert path.stat().st_mode == other.stat().st_mode
        assert path.name == "REVISION" or path.stat().st_mtime == other.stat().st_mtime == COMMITTED


def test_checkout_in_place(revision, repository, home):
    first, second = repository.commit(a="1"), repository.commit(a="2", b="2")
    assert revision("current", str(home), in_place=True) == ""
    told = revision("checkout", str(home), repository.address, first)
    assert told == {"previous": "", "current": first, "changed": True}
    (home / "source/built").touch()
    (home / "source/a").write_text("changed by hand")
    assert revision("checkout", str(home), repository.address, second)["previous"] == first
    assert revision("current", str(home), in_place=True) == second
    assert (home / "source/a").read_text() == "2"
    assert (home / "source/built").exists()
    assert revision("checkout", str(home), repository.address, second)["changed"] is False


def test_free_is_in_mb_and_needs_no_folder(revision, home):
    room = os.statvfs(home.parent)
    assert abs(revision("free", str(home / "not/yet")) - room.f_bavail * room.f_frsize // 2**20) < 1000


def test_notes_are_lines(revision, tmp_path):
    log = tmp_path / "log/releases.log"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: revision("note", f"line\n {n}", log=str(log)), range(20)))
    lines = log.read_text().splitlines()
    assert len(lines) == 20
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ line \d+", line) for line in lines)


@as_root
def test_what_comes_from_the_repository_belongs_to_the_applications_user(revision, repository):
    """And a clone of that user is read by root all the same, which git refuses by itself."""
    with _folder_for_all() as home:
        sha = repository.commit(a="1", static__x="x")
        other = repository.commit(a="2")
        revision("prepare", str(home), repository.address, sha, user="nobody")
        revision("built", str(home), sha)
        revision("activate", str(home), sha)
        revision("prepare", str(home), repository.address, other, user="nobody", bridge=["static"])
        revision("built", str(home), other)
        owners = {path.owner() for name in ("source", "releases") for path in (home / name, *(home / name).rglob("*"))}
        assert owners == {"nobody"}
        assert home.owner() == "root"
        assert revision("resolve", repository.address, other[:7], directory=str(home)) == other
        revision("prune", str(home), keep=1)


@as_root
def test_an_unknown_user_is_said(revision, repository, home):
    with pytest.raises(CommandExecutionError, match="there is no user nobodyatall here"):
        revision("prepare", str(home), repository.address, repository.commit(a="1"), user="nobodyatall")


def test_nothing_is_written_through_a_link(revision, repository, home, tmp_path):
    """The application's user can put links into its folder; root must not follow them."""
    sha = repository.commit(a="1")
    revision("prepare", str(home), repository.address, sha)
    target = tmp_path / "target"
    target.write_text("untouched")
    (home / "releases" / sha / "REVISION_TIME").symlink_to(target)
    revision("built", str(home), sha)
    assert target.read_text() == "untouched"
    assert not (home / "releases" / sha / "REVISION_TIME").is_symlink()


def test_only_these_are_commands():
    assert minion_modules.commands("revision") == {
        f"revision.{name}"
        for name in (
            "resolve",
            "prepare",
            "built",
            "activate",
            "current",
            "checkout",
            "list",
            "mark",
            "prune",
            "free",
            "note",
        )
    }


@contextlib.contextmanager
def _folder_for_all() -> Iterator[Path]:
    """A folder that other users can reach: pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="saltlick-test-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "app"
