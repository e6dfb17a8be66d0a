"""Which release is current, and the files of the last one beside it: `revision.activate`, and `bridge`."""

from __future__ import annotations

import threading

import pytest
from salt.exceptions import CommandExecutionError


def test_files_of_the_current_release_stay_readable(revision, repository, home, ship):
    old = ship(static__app1_js="1", static__deep__x="x", static__same="old", other="o")
    new = repository.commit(static__app2_js="2", static__same="new")
    revision("prepare", str(home), repository.address, new, bridge=["static"])
    assert revision("built", str(home), new)["bridged"] == 2
    folder = home / "releases" / new
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name[0] != "."} == {
        "REVISION", "REVISION_TIME", "static/app1.js", "static/app2.js", "static/deep/x", "static/same"
    }  # fmt: skip
    assert (folder / "static/same").read_text() == "new"
    assert (folder / "static/app1.js").samefile(home / "releases" / old / "static/app1.js")


def test_what_was_bridged_once_is_not_bridged_for_ever(revision, repository, home, ship):
    ship(static__a="1")
    for name, expected in (("static__b", {"a", "b"}), ("static__c", {"b", "c"})):
        sha = repository.commit(**{name: "1"})
        revision("prepare", str(home), repository.address, sha)
        revision("built", str(home), sha, bridge="static")
        revision("activate", str(home), sha)
        assert {path.name for path in (home / "releases" / sha / "static").iterdir()} == expected


def test_a_bridge_follows_no_link(revision, repository, home, ship, tmp_path):
    ship(static__cron="evil", assets__x="x")
    new = repository.commit(a="1")
    revision("prepare", str(home), repository.address, new, bridge=["static"])
    outside = tmp_path / "outside"
    outside.mkdir()
    (home / "releases" / new / "static").symlink_to(outside)
    with pytest.raises(OSError, match="static"):
        revision("built", str(home), new)
    assert not list(outside.iterdir())


@pytest.mark.parametrize("name", ["../x", "/etc", "."])
def test_a_bridge_stays_inside_the_release(revision, repository, home, ship, name):
    ship(static__a="1")
    sha = repository.commit(a="1")
    revision("prepare", str(home), repository.address, sha)
    with pytest.raises(CommandExecutionError, match="is not a folder inside a release"):
        revision("built", str(home), sha, bridge=[name])


def test_activate_says_from_where_to_where(revision, home, ship):
    first = ship()
    second = ship(active=False)
    assert revision("current", str(home)) == first
    assert revision("activate", str(home), second) == {"previous": first, "current": second, "changed": True}
    assert revision("activate", str(home), second) == {"previous": first, "current": second, "changed": False}
    assert str((home / "current").readlink()) == f"releases/{second}"
    assert revision("current", str(home)) == second
    assert sorted(path.name for path in home.iterdir() if path.name.startswith(".current")) == []


def test_current_is_there_at_every_moment(revision, home, ship):
    """Read without a pause while it is switched to and fro."""
    two = [ship(a="1"), ship(a="2")]
    seen, stop = set(), threading.Event()

    def look() -> None:
        while not stop.is_set():
            try:
                seen.add((home / "current" / "REVISION").read_text().strip())
            except OSError as error:
                seen.add(str(error))

    watcher = threading.Thread(target=look)
    watcher.start()
    for number in range(200):
        revision("activate", str(home), two[number % 2])
    stop.set()
    watcher.join()
    assert seen == set(two)


def test_only_a_complete_release_becomes_current(revision, repository, home):
    sha = repository.commit(a="1")
    with pytest.raises(CommandExecutionError, match=r"is not complete \(absent\)"):
        revision("activate", str(home), sha)
    revision("prepare", str(home), repository.address, sha)
    with pytest.raises(CommandExecutionError, match=r"is not complete \(no REVISION in it\)"):
        revision("activate", str(home), sha)
    assert revision("current", str(home)) == ""


def test_a_folder_called_current_is_not_lost(revision, home, ship):
    sha = ship(active=False)
    (home / "current").mkdir()
    with pytest.raises(CommandExecutionError, match="is not a symbolic link"):
        revision("activate", str(home), sha)


@pytest.mark.parametrize("sha", ["main", "../..", "f5d9859", ""])
def test_folders_are_named_by_whole_commits(revision, home, sha):
    for function in ("activate", "built", "mark"):
        with pytest.raises(CommandExecutionError, match="is not a whole commit id"):
            revision(function, str(home), sha)


def test_a_relative_directory_is_refused(revision):
    with pytest.raises(CommandExecutionError, match="is not an absolute path"):
        revision("current", "srv/app")
