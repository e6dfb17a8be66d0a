"""What git leaves out of a commit or behind: a release has all files of its commit, or is refused with the reason."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError
from support import minion_modules

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """git in a folder below the test's own."""
    who = {
        f"GIT_{role}_{what}": text
        for role in ("AUTHOR", "COMMITTER")
        for what, text in {"NAME": "t", "EMAIL": "t@t"}.items()
    }

    def run(folder: str, *words: str) -> str:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        command = ["git", "-c", "protocol.file.allow=always", *words]
        done = subprocess.run(
            command, cwd=tmp_path / folder, env={**os.environ, **who}, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    return run


@pytest.fixture
def application(git: Git, tmp_path: Path) -> Path:
    """A repository with a submodule by a relative address, which has a submodule itself."""
    for name in ("deep", "lib", "app"):
        git(name, "init", "-q", "-b", "main")
        (tmp_path / name / f"{name}.py").write_text(name)
        git(name, "add", ".")
        git(name, "commit", "-qm", "1")
    git("lib", "submodule", "add", "-q", "../deep", "below")
    git("lib", "commit", "-qam", "2")
    git("app", "submodule", "add", "-q", "../lib", "vendor/lib")
    git("app", "commit", "-qam", "2")
    return tmp_path / "app"


def tip(git: Git, name: str = "app") -> str:
    return git(name, "rev-parse", "HEAD")


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".saltlick.json"
    }


def test_submodules_are_there_and_theirs_too(revision: Any, git: Git, application: Path, home: Path) -> None:
    sha = tip(git)
    assert revision("resolve", str(application), "main", directory=str(home)) == sha
    revision("prepare", str(home), str(application), sha)
    assert files(home / "releases" / sha) == {
        ".gitmodules", "app.py", "vendor/lib/.gitmodules", "vendor/lib/lib.py", "vendor/lib/below/deep.py"
    }  # fmt: skip


def test_submodules_are_checked_out_in_place_forward_and_back(
    revision: Any, git: Git, application: Path, home: Path
) -> None:
    first = tip(git)
    (application.parent / "lib" / "lib.py").write_text("later")
    git("lib", "commit", "-qam", "3")
    git("app/vendor/lib", "pull", "-q", "origin", "main")
    git("app", "commit", "-qam", "3")
    for sha, text in ((first, "lib"), (tip(git), "later"), (first, "lib")):
        assert revision("checkout", str(home), str(application), sha)["current"] == sha
        assert (home / "source/vendor/lib/lib.py").read_text() == text
        assert (home / "source/vendor/lib/below/deep.py").read_text() == "deep"


def test_the_formula_lays_submodules_out_as_well(revision: Any, git: Git, application: Path, tmp_path: Path) -> None:
    git(".", "clone", "-q", str(application), "source")
    script = minion_modules.ROOT / "salt/app/files/build-release.sh"
    environ = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.file.allow",
        "GIT_CONFIG_VALUE_0": "always",
    }
    command = ["sh", str(script), str(tmp_path / "source"), str(tmp_path / "built"), "true", "none.txt"]
    subprocess.run(command, check=True, env=environ)
    assert (tmp_path / "built" / tip(git) / "vendor/lib/below/deep.py").read_text() == "deep"


def test_a_submodule_that_cannot_be_fetched_makes_no_folder(
    revision: Any, git: Git, application: Path, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "deep").rename(tmp_path / "away")
    with pytest.raises(CommandExecutionError, match="submodule --quiet update"):
        revision("prepare", str(home), str(application), tip(git))
    assert revision("list", str(home)) == []
    (tmp_path / "away").rename(tmp_path / "deep")
    assert revision("prepare", str(home), str(application), tip(git))["changed"] is True


@pytest.mark.parametrize("function", ["resolve", "prepare", "checkout"])
def test_a_submodule_without_an_address_is_refused(
    revision: Any, git: Git, application: Path, home: Path, function: str
) -> None:
    git("app", "rm", "-q", "--cached", ".gitmodules")
    git("app", "commit", "-qm", "3")
    with pytest.raises(
        CommandExecutionError, match=r"has the submodule vendor/lib and no address of it in \.gitmodules"
    ):
        asked(revision, function, home, application, tip(git))


@pytest.mark.parametrize("function", ["resolve", "prepare", "checkout"])
def test_files_in_git_lfs_are_refused(revision: Any, git: Git, application: Path, home: Path, function: str) -> None:
    (application / "art").mkdir()
    (application / "art/.gitattributes").write_text("*.psd filter=lfs diff=lfs merge=lfs -text\n")
    (application / "art/logo ü.psd").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1\n"
    )
    git("app", "add", ".")
    git("app", "commit", "-qm", "3")
    with pytest.raises(CommandExecutionError, match=r"keeps art/logo ü\.psd in Git LFS, which releases do not fetch"):
        asked(revision, function, home, application, tip(git))


@pytest.mark.parametrize("name", ["REVISION", "REVISION_TIME", ".saltlick.json"])
def test_a_file_with_a_name_of_ours_is_refused_but_in_place(
    revision: Any, git: Git, application: Path, home: Path, name: str
) -> None:
    (application / name).write_text("theirs")
    git("app", "add", ".")
    git("app", "commit", "-qm", "3")
    for function in ("resolve", "prepare"):
        with pytest.raises(
            CommandExecutionError, match=f"has {name} of its own, which Saltlick writes into each release"
        ):
            asked(revision, function, home, application, tip(git))
    revision("resolve", str(application), "main", directory=str(home), in_place=True)
    revision("checkout", str(home), str(application), tip(git))
    assert (home / "source" / name).read_text() == "theirs"


def test_what_is_not_exported_is_released(revision: Any, git: Git, application: Path, home: Path) -> None:
    """Attributes for archives say what others get: a release, prepared or in place, is the commit."""
    (application / ".gitattributes").write_text("app.py export-ignore\nversion.py export-subst\n")
    (application / "version.py").write_text("$Format:%H$")
    git("app", "add", ".")
    git("app", "commit", "-qm", "3")
    sha = tip(git)
    revision("prepare", str(home), str(application), sha)
    assert (home / "releases" / sha / "app.py").exists()
    assert (home / "releases" / sha / "version.py").read_text() == "$Format:%H$"


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock", "refs/heads/saltlick.lock", "config.lock", "shallow.lock"])
def test_a_lock_that_a_killed_git_left_is_in_nobodys_way(
    revision: Any, git: Git, application: Path, home: Path, lock: str
) -> None:
    revision("checkout", str(home), str(application), tip(git))
    former = tip(git)
    git("app", "commit", "-qm", "3", "--allow-empty")
    for sha in (tip(git), former):
        (home / "source/.git" / lock).write_text("")
        assert revision("checkout", str(home), str(application), sha)["current"] == sha
    (home / "source/.git" / lock).write_text("")
    revision("prepare", str(home), str(application), tip(git))


def test_nobody_else_is_let_in_while_a_git_of_a_killed_minion_goes_on(revision: Any, home: Path) -> None:
    """Its lock is not old then, whatever process had asked for it."""
    loaded = minion_modules.ROOT / "_modules"
    script = f"""
import os, sys
sys.path.insert(0, {str(loaded)!r})
import _saltlick_revision_folders as folders, _saltlick_revision_run as run, pathlib, threading, time
def work():
    with folders.locked(pathlib.Path({str(home)!r})):
        run.run(["sh", "-c", "echo > {home}/works; sleep 3; echo > {home}/done"], None)
threading.Thread(target=work, daemon=True).start()
while not os.path.exists({str(home / "works")!r}):
    time.sleep(0.01)
os._exit(9)
"""
    home.mkdir()
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert not (home / "done").exists()
    (home / "releases").mkdir()
    revision("prune", str(home))
    assert (home / "done").exists()


def test_a_clone_that_was_shallow_gets_its_history(revision: Any, git: Git, application: Path, home: Path) -> None:
    first = git("app", "rev-parse", "HEAD~1")
    git(".", "clone", "-q", "--depth", "1", f"file://{application}", str(home / "source"))
    revision("prepare", str(home), f"file://{application}", first)
    assert files(home / "releases" / first) == {"app.py"}


def test_a_commit_that_a_shallow_repository_lacks_is_said_to_be_missing(
    revision: Any, git: Git, application: Path, home: Path, tmp_path: Path
) -> None:
    first = git("app", "rev-parse", "HEAD~1")
    git(".", "clone", "-q", "--depth", "1", f"file://{application}", "shallow")
    with pytest.raises(CommandExecutionError, match=f"has no commit {first}"):
        revision("prepare", str(home), f"file://{tmp_path / 'shallow'}", first)
    assert revision("prepare", str(home), f"file://{tmp_path / 'shallow'}", tip(git))["changed"] is True


def asked(revision: Any, function: str, home: Path, application: Path, sha: str) -> None:
    """Each of the ways in which a commit is asked for."""
    if function == "resolve":
        revision("resolve", str(application), "main", directory=str(home))
    else:
        revision(function, str(home), str(application), sha)
