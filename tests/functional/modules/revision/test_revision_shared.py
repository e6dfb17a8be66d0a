"""What all revisions share: a link in each, whose target outlives them; nothing outside is touched."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as a minion has it")


def test_each_release_has_links_and_the_content_stays(revision, repository, home):
    (home / "shared/etc").mkdir(parents=True)
    (home / "shared/etc/local.ini").write_text("mode = live\n")
    names = ["var/uploads/", "etc/local.ini", "cache/"]
    folders = []
    for number in ("1", "2"):
        sha = repository.commit(app=number, var__uploads__readme="of the revision", etc__local_ini=number)
        revision("prepare", str(home), repository.address, sha, shared=names)
        revision("built", str(home), sha)
        revision("activate", str(home), sha)
        folders.append(home / "releases" / sha)
    first, second = folders
    (first / "var/uploads/photo").write_text("of a visitor")
    assert (second / "var/uploads/photo").read_text() == "of a visitor"
    assert [path.name for path in (second / "var/uploads").iterdir()] == ["photo"]
    assert (second / "etc/local.ini").read_text() == "mode = live\n"
    assert (str((second / "var/uploads").readlink()), str((second / "cache").readlink())) == (
        "../../../shared/var/uploads",
        "../../shared/cache",
    )
    third = repository.commit(app="3")
    for step in ("prepare", "built", "activate"):
        revision(step, str(home), *([repository.address] if step == "prepare" else []), third)
    assert revision("prune", str(home), keep=1)["removed"] == [first.name]
    assert (home / "shared/var/uploads/photo").read_text() == "of a visitor"


def test_a_file_that_is_not_there_is_said_and_no_release_is_left(revision, repository, home):
    sha = repository.commit(app="1")
    with pytest.raises(CommandExecutionError, match=r"shared/\.env is not there: put it on the server"):
        revision("prepare", str(home), repository.address, sha, shared=[".env"])
    assert not (home / "releases" / sha).exists()
    (home / "shared/.env").write_text("A=1\n")
    assert revision("prepare", str(home), repository.address, sha, shared=[".env"])["state"] == "prepared"


def test_a_complete_release_gets_the_links_that_it_lacks_and_the_current_one_stays(revision, repository, home):
    running, other = repository.commit(app="1"), repository.commit(app="2")
    for sha in (running, other):
        revision("prepare", str(home), repository.address, sha)
        revision("built", str(home), sha)
    revision("activate", str(home), running)
    assert revision("prepare", str(home), repository.address, running, shared=["uploads/"])["state"] == "built"
    assert revision("prepare", str(home), repository.address, other, shared=["uploads/"])["state"] == "prepared"
    revision("built", str(home), other)
    assert revision("prepare", str(home), repository.address, other, shared=["uploads/"])["state"] == "built"


def test_a_link_of_the_revision_leads_nowhere(revision, repository, home, tmp_path):
    outside = tmp_path / "outside"
    (outside / "uploads").mkdir(parents=True)
    (outside / "uploads/kept").write_text("kept")
    blob = repository.git("hash-object", "-w", "--stdin", given=str(outside))
    tree = repository.git("mktree", given=f"120000 blob {blob}\tvar\n")
    sha = repository.git("commit-tree", tree, given="a link")
    repository.git("update-ref", "refs/heads/linked", sha)
    repository.publish()
    with pytest.raises(CommandExecutionError, match="shared: var is a link in this revision"):
        revision("prepare", str(home), repository.address, sha, shared=["var/uploads/"])
    assert (outside / "uploads/kept").read_text() == "kept"


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A folder that other users can reach: pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="saltlick-test-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "app"


@as_root
def test_all_of_it_is_the_applications_users(revision, repository, open_home):
    home = open_home
    sha = repository.commit(app="1")
    revision("prepare", str(home), repository.address, sha, user="nobody", shared=["var/uploads/"])
    nobody = pwd.getpwnam("nobody").pw_uid
    release = home / "releases" / sha
    for made in (home / "shared", home / "shared/var/uploads", release / "var", release / "var/uploads"):
        assert made.lstat().st_uid == nobody, made


@as_root
def test_a_users_link_in_what_is_shared_is_followed_by_the_user_alone(revision, repository, open_home, tmp_path):
    """`shared` belongs to the user: what root would do there could be led anywhere."""
    home = open_home
    forbidden = tmp_path / "of-root"
    forbidden.mkdir(mode=0o700)
    (home / "shared").mkdir(parents=True)
    (home / "shared/var").symlink_to(forbidden)
    sha = repository.commit(app="1")
    with pytest.raises(CommandExecutionError, match=r"mkdir.*Permission denied"):
        revision("prepare", str(home), repository.address, sha, user="nobody", shared=["var/uploads/"])
    assert list(forbidden.iterdir()) == []
