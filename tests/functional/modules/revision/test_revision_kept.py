"""Which releases are listed, marked and kept: `revision.list`, `mark` and `prune`."""

from __future__ import annotations

import pytest
from salt.exceptions import CommandExecutionError
from support.git_repository import ABSENT, release_states


def test_previous_is_the_last_that_did_not_fail(revision, home, ship):
    first, second = ship(), ship()
    bad = ship(good=None)
    revision("activate", str(home), second)
    revision("mark", str(home), bad, good=False, release="r7")
    told = {one["sha"]: one for one in revision("list", str(home))}
    assert {sha: (one["state"], one["current"], one["previous"]) for sha, one in told.items()} == {
        first: ("good", False, True), second: ("good", True, False), bad: ("failed", False, False)
    }  # fmt: skip
    assert told[bad]["release"] == "r7"
    assert told[first]["time"].endswith("Z")


def test_marks(revision, repository, home):
    sha = repository.commit(a="1")
    assert revision("mark", str(home), sha, good=False) == {"sha": sha, "state": "absent"}
    revision("prepare", str(home), repository.address, sha)
    with pytest.raises(CommandExecutionError, match="is not complete, so it cannot be good"):
        revision("mark", str(home), sha)
    assert revision("mark", str(home), sha, good=False) == {"sha": sha, "state": "failed"}
    assert release_states(revision, home) == {sha: "failed"}


def test_failed_releases_evict_no_good_one(revision, repository, home, ship):
    good = [ship() for _ in range(3)]
    bad = [ship(good=False, active=False) for _ in range(6)]
    half = repository.commit(a="half")
    revision("prepare", str(home), repository.address, half)
    (home / "releases" / ".saltlick.leftover").mkdir()
    told = revision("prune", str(home), keep=3)
    assert set(told["removed"]) == {*bad, half}
    assert set(told["kept"]) == set(good)
    assert {path.name for path in (home / "releases").iterdir()} == set(good)
    assert revision("current", str(home)) == good[-1]


def test_prune_keeps_current_previous_and_protected(revision, home, ship):
    shas = [ship() for _ in range(6)]
    revision("activate", str(home), shas[0])
    told = revision("prune", str(home), keep=1, protect=[shas[2][:8]])
    assert set(told["kept"]) == {shas[0], shas[5], shas[2]}
    assert revision("prune", str(home), keep=1, protect=shas[2])["removed"] == []


def test_prune_touches_nothing_else(revision, home, ship):
    ship()
    (home / "releases" / "uploads").mkdir()
    (home / "releases" / ABSENT).symlink_to(home)
    revision("prune", str(home), keep=1)
    assert (home / "releases" / "uploads").is_dir()
    assert home.is_dir()


def test_prune_of_nothing(revision, home):
    assert revision("prune", str(home)) == {"removed": [], "kept": []}
    with pytest.raises(CommandExecutionError, match="keep is 0"):
        revision("prune", str(home), keep=0)
