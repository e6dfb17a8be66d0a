"""A release's folder is made once and whole: `revision.prepare` and `revision.built`."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from salt.exceptions import CommandExecutionError
from support.git_repository import ABSENT, release_states


def test_a_prepared_folder_holds_the_revision_and_no_history(revision, repository, home):
    sha = repository.commit(app_py="print()", static__x_css="x")
    repository.commit(app_py="later")
    told = revision("prepare", str(home), repository.address, sha, release="r1")
    folder = home / "releases" / sha
    assert told.pop("seconds") < 30
    assert told == {"folder": str(folder), "sha": sha, "state": "prepared", "changed": True}
    assert (folder / "app.py").read_text() == "print()"
    assert (folder / "static/x.css").is_file()
    assert not (folder / ".git").exists()
    assert not (folder / "REVISION").exists()
    assert release_states(revision, home) == {sha: "unfinished"}
    assert [path.name for path in (home / "releases").iterdir()] == [sha]


def test_the_repository_is_plain_files(revision, repository, home, served):
    """No request but GET, and none that a server without git could not answer."""
    revision("prepare", str(home), repository.address, repository.commit(a="1"))
    assert set(served[2]) == {"GET"}


def test_built_writes_revision_last(revision, repository, home):
    sha = repository.commit(a="1")
    revision("prepare", str(home), repository.address, sha)
    assert revision("built", str(home), sha)["changed"] is True
    folder = home / "releases" / sha
    assert (folder / "REVISION").read_text() == f"{sha}\n"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", (folder / "REVISION_TIME").read_text())
    assert (folder / "REVISION").stat().st_mtime_ns >= (folder / "REVISION_TIME").stat().st_mtime_ns
    assert revision("built", str(home), sha)["changed"] is False
    assert release_states(revision, home) == {sha: "built"}


def test_a_complete_folder_is_left_alone(revision, repository, home):
    sha = repository.commit(a="1")
    revision("prepare", str(home), repository.address, sha)
    (home / "releases" / sha / "made-by-build").touch()
    revision("built", str(home), sha)
    told = revision("prepare", str(home), "http://127.0.0.1:1/away.git", sha)
    assert (told["state"], told["changed"]) == ("built", False)
    assert (home / "releases" / sha / "made-by-build").exists()
    assert revision("prepare", str(home), repository.address, sha, anew=True)["changed"] is True
    assert not (home / "releases" / sha / "made-by-build").exists()


def test_an_interrupted_build_is_made_anew(revision, repository, home):
    sha = repository.commit(a="1")
    revision("prepare", str(home), repository.address, sha, release="r1")
    (home / "releases" / sha / "half").touch()
    assert revision("prepare", str(home), repository.address, sha, release="r2")["changed"] is True
    assert not (home / "releases" / sha / "half").exists()


def test_the_same_release_may_ask_again(revision, repository, home):
    """A resumed release repeats its step while its own build may be running in the folder."""
    sha = repository.commit(a="1")
    revision("prepare", str(home), repository.address, sha, release="r1")
    (home / "releases" / sha / "half").touch()
    assert revision("prepare", str(home), repository.address, sha, release="r1")["changed"] is False
    assert (home / "releases" / sha / "half").exists()


def test_a_killed_prepare_leaves_nothing_in_the_way(revision, repository, home):
    sha = repository.commit(a="1")
    stuck = home / "releases" / f".saltlick.{sha}"
    stuck.mkdir(parents=True)
    (stuck / "half").touch()
    (home / "source").mkdir()
    subprocess.run(["git", "init", "-q", str(home / "source")], check=True)
    revision("prepare", str(home), repository.address, sha)
    assert sorted(path.name for path in (home / "releases" / sha).iterdir()) == [".saltlick.json", "a"]
    assert [path.name for path in (home / "releases").iterdir()] == [sha]


def test_prepares_at_the_same_time_make_one_folder(revision, repository, home):
    shas = [repository.commit(a="1"), repository.commit(a="2")]
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda n: revision("prepare", str(home), repository.address, shas[n % 2]), range(8)))
    assert sum(one["changed"] for one in told) == 2
    assert {path.name for path in (home / "releases").iterdir()} == set(shas)


def test_a_current_release_is_never_made_anew(revision, repository, home, ship):
    sha = ship(a="1")
    assert revision("prepare", str(home), repository.address, sha, anew=True)["changed"] is False
    (home / "releases" / sha / "REVISION").unlink()
    with pytest.raises(CommandExecutionError, match="is the current release and has no REVISION"):
        revision("prepare", str(home), repository.address, sha)


def test_a_commit_that_is_not_there_makes_no_folder(revision, repository, home):
    repository.commit(a="1")
    with pytest.raises(CommandExecutionError, match=f"has no commit {ABSENT}"):
        revision("prepare", str(home), repository.address, ABSENT)
    assert revision("list", str(home)) == []


def test_built_needs_a_folder(revision, home):
    with pytest.raises(CommandExecutionError, match=r"does not exist: revision\.prepare makes it"):
        revision("built", str(home), ABSENT)
