"""A tree that lives while it is read: what went away is said and the rest is backed up; real faults stay faults."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from functional.modules.backup.conftest import Backups, shell
from salt.exceptions import CommandExecutionError

HOLD = """#!/bin/sh
# tar, which stops after it has looked at the tree and before it reads it, for what the test does meanwhile.
case "$*" in
  *-czf*) exec {tar} --checkpoint=1 --checkpoint-action=exec={meanwhile} "$@" ;;
  *) exec {tar} "$@" ;;
esac
"""


@pytest.fixture
def tree(work: Path) -> Path:
    """Big enough for tar to write a record before it comes to the last folders, which it reads in the order of their names."""
    folder = work / "cache"
    for name in ("a", "y/deep", "z"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text(name)
    (folder / "a" / "large").write_bytes(os.urandom(200_000))
    return folder


@pytest.fixture
def meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that runs while tar is at work: tests write it."""
    script, tools = tmp_path / "meanwhile", tmp_path / "bin"
    tools.mkdir()
    real = shell("command -v tar", tmp_path).strip()
    for path, text in ((script, "#!/bin/sh\n"), (tools / "tar", HOLD.format(tar=real, meanwhile=script))):
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return script


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ("rm -rf y z", ["a/file", "a/large"]),
        ("rm -rf z; echo now a file > z", ["a/file", "a/large", "y/deep/file"]),
        ("rm z/file", ["a/file", "a/large", "y/deep/file"]),
    ],
)
def test_what_goes_away_while_it_is_read_is_said(
    backups: Backups, tree: Path, meanwhile: Path, what: str, left: list[str]
) -> None:
    meanwhile.write_text(f"#!/bin/sh\ncd {tree} && {what}\n")
    full = backups.take(tree)
    (warning,) = full["warnings"]
    assert warning.startswith(f"{tree}: ")
    assert "changed or went away while they were read: ./" in warning
    meanwhile.write_text("#!/bin/sh\n")
    backups.restore(full)
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()) == left


def test_the_next_increment_has_what_changed_while_the_last_one_was_read(
    backups: Backups, tree: Path, meanwhile: Path
) -> None:
    meanwhile.write_text(f"#!/bin/sh\ncd {tree} && rm -rf y && mkdir a/new && echo 1 > a/new/file && echo 2 > a/file\n")
    full = backups.take(tree)
    meanwhile.write_text("#!/bin/sh\n")
    link = backups.take(tree, mode="incr")
    assert link["warnings"] == []
    backups.restore(full, link)
    assert [(tree / name).read_text() for name in ("a/new/file", "a/file")] == ["1\n", "2\n"]
    assert not (tree / "y").exists()


def test_the_folder_itself_going_away_fails(backups: Backups, tree: Path, meanwhile: Path) -> None:
    meanwhile.write_text(f"#!/bin/sh\nrm -rf {tree}\n")
    with pytest.raises(CommandExecutionError, match=r"cache went away while it was backed up|No such file"):
        backups.take(tree)


def test_a_disk_that_is_full_is_no_tree_that_changes(backups: Backups, tree: Path, mounted: object) -> None:
    (tree / "a" / "large").write_bytes(os.urandom(8 << 20))
    mounted(backups.state / "spool", size="2m")  # type: ignore[operator]
    with pytest.raises(CommandExecutionError, match="No space left on device"):
        backups.take(tree)
    assert not backups.store.exists()


def test_a_folder_that_churns_is_backed_up_every_time(backups: Backups, tree: Path) -> None:
    """By itself, with nothing that waits for anybody."""
    loop = "while :; do for n in m y/n; do mkdir -p $n/sub; echo x > $n/sub/f; rm -rf $n; done; done"
    with subprocess.Popen(["bash", "-c", loop], cwd=tree) as churning:
        taken = [backups.take(tree, mode=mode) for mode in ("full", "incr", "incr", "incr")]
        assert churning.poll() is None
        churning.terminate()
    backups.restore(*taken)
    assert (tree / "y" / "deep" / "file").read_text() == "y/deep"
