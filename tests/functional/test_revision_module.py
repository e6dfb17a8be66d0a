"""The execution module `revision`, loaded by Salt's own loader, over real git repositories served as plain files."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import minion
import pytest
from salt.exceptions import CommandExecutionError

ABSENT = "0" * 39 + "1"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as a minion has it")


class Repository:
    """A bare repository, and the address of a web server that knows nothing of git."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
        self.tips: dict[str, str] = {}

    def git(self, *words: str, given: str = "") -> str:
        fixed = {"NAME": "t", "EMAIL": "t@t", "DATE": "2020-01-01T00:00:00Z"}  # the same commits each time
        who = {f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in fixed.items()}
        told = {**os.environ, **who, "GIT_DIR": str(self.folder)}
        done = subprocess.run(["git", *words], input=given, capture_output=True, text=True, check=True, env=told)
        return done.stdout.strip()

    def commit(self, branch: str = "main", **files: str) -> str:
        """One commit on a branch that holds these files and no others; `__` in a name stands for a folder, `_` for a dot."""
        entries: dict[str, Any] = {}
        for name, text in files.items():
            *folders, last = name.replace("__", "/").split("/")
            place = functools.reduce(lambda inner, part: inner.setdefault(part, {}), folders, entries)
            place[last.replace("_", ".")] = text
        parent = ["-p", self.tips[branch]] if branch in self.tips else []
        sha = self.git("commit-tree", self._tree(entries), *parent, given=f"{branch} {files}")
        self.tips[branch] = sha
        self.git("update-ref", f"refs/heads/{branch}", sha)
        self.publish()
        return sha

    def tag(self, name: str, sha: str, annotated: bool = False) -> None:
        self.git("tag", *(["-a", "-m", name] if annotated else []), name, sha)
        self.publish()

    def publish(self) -> None:
        self.git("repack", "-adq")
        self.git("update-server-info")

    def _tree(self, entries: dict[str, Any]) -> str:
        lines = [
            f"040000 tree {self._tree(what)}\t{name}" if isinstance(what, dict)
            else f"100644 blob {self.git('hash-object', '-w', '--stdin', given=what)}\t{name}"
            for name, what in entries.items()
        ]  # fmt: skip
        return self.git("mktree", given="\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def revision(tmp_path_factory: pytest.TempPathFactory) -> Any:
    loaded = minion.modules(tmp_path_factory.mktemp("minion"), "revision")
    return lambda function, *args, **kwargs: loaded[f"revision.{function}"](*args, **kwargs)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, list[str]]]:
    """A folder, its address, and the requests that came."""
    folder, asked = tmp_path_factory.mktemp("git"), []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_: object) -> None:
            asked.append(self.command)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}", asked
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


def states(revision: Any, home: Path) -> dict[str, str]:
    return {one["sha"]: one["state"] for one in revision("list", str(home))}


# resolve


@pytest.mark.parametrize("with_clone", [True, False])
def test_branches_tags_and_commits_resolve(revision, repository, home, with_clone):
    first, second = repository.commit(a="1"), repository.commit(a="2")
    repository.tag("v1", first, annotated=True)
    repository.tag("light/1", first)
    where = {"directory": str(home)} if with_clone else {}
    expected = {"main": second, "HEAD": second, "refs/heads/main": second, "v1": first, "light/1": first}
    expected |= {first: first, first[:7]: first, first[:7].upper(): first, second[:10]: second}
    assert {rev: revision("resolve", repository.address, rev, **where) for rev in expected} == expected


def test_a_commit_that_came_later_is_fetched(revision, repository, home):
    revision("prepare", str(home), repository.address, repository.commit(a="1"))
    later = repository.commit(a="2")
    assert revision("resolve", repository.address, later[:8], directory=str(home)) == later


def test_a_known_commit_resolves_while_the_repository_is_away(revision, repository, home):
    sha = repository.commit(a="1")
    revision("prepare", str(home), repository.address, sha)
    assert revision("resolve", "http://127.0.0.1:1/gone.git", sha, directory=str(home)) == sha


def test_an_unknown_revision_is_one_sentence(revision, repository, home):
    repository.commit(a="1")
    for rev in ("nothing", "abcd1234", ABSENT):
        with pytest.raises(CommandExecutionError, match=rf"^http://.*\.git has no branch, tag or commit {rev}$"):
            revision("resolve", repository.address, rev, directory=str(home))


def test_one_name_for_two_commits_is_ambiguous(revision, repository):
    first, second = repository.commit(a="1"), repository.commit(branch="v1", a="2")
    repository.tag("v1", first)
    told = rf"v1 is ambiguous in .*: refs/tags/v1 \({first[:12]}\) and refs/heads/v1 \({second[:12]}\); give one"
    with pytest.raises(CommandExecutionError, match=told):
        revision("resolve", repository.address, "v1")
    assert revision("resolve", repository.address, "refs/heads/v1") == second


def test_too_few_digits_are_ambiguous(revision, repository, home):
    """With some 700 commits two begin with the same four digits; trees and files that do are no matter."""
    tree = repository.git("mktree", given="")
    seen: dict[str, str] = {}
    parent: list[str] = []
    for number in range(3000):
        sha = repository.git("commit-tree", tree, *parent, given=f"{number}")
        parent = ["-p", sha]
        if sha[:4] in seen:
            break
        seen[sha[:4]] = sha
    repository.git("update-ref", "refs/heads/main", sha)
    repository.publish()
    with pytest.raises(CommandExecutionError, match=rf"{sha[:4]} is ambiguous in .*: 2 commits begin so"):
        revision("resolve", repository.address, sha[:4], directory=str(home))
    assert revision("resolve", repository.address, sha[:12], directory=str(home)) == sha


@pytest.mark.parametrize("rev", ["--upload-pack=id", "a b", "a..b", "", "main@{1}", "x\ny", "a;b"])
def test_what_is_no_name_never_reaches_git(revision, repository, rev):
    with pytest.raises(CommandExecutionError, match="is not the name of a revision"):
        revision("resolve", repository.address, rev)


def test_an_unreachable_repository_says_so_without_its_password(revision):
    with pytest.raises(CommandExecutionError, match=r"git ls-remote http://127.0.0.1:1/a.git failed") as caught:
        revision("resolve", "http://joe:secret@127.0.0.1:1/a.git", "main")
    assert "secret" not in str(caught.value)


# prepare and built


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
    assert states(revision, home) == {sha: "unfinished"}
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
    assert states(revision, home) == {sha: "built"}


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
    (home / "releases" / f".saltlick.{sha}.tar").write_text("half")
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


# bridge


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


# activate and current


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


# list, mark, prune


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
    assert states(revision, home) == {sha: "failed"}


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


# what the formula does, and small things


def test_what_the_formula_built_can_be_gone_back_to(revision, repository, home, ship):
    """salt/app's own script, over the same clone: its folder is complete, counts as good and can be made current."""
    first = ship()
    second = repository.commit(a="formula")
    revision("checkout", str(home), repository.address, second)
    script = minion.ROOT / "salt/app/files/build-release.sh"
    subprocess.run(["sh", script, home / "source", home / "releases", "true", "none.txt"], check=True)
    assert states(revision, home) == {first: "good", second: "good"}
    assert revision("prepare", str(home), repository.address, second)["state"] == "built"
    assert revision("activate", str(home), second)["previous"] == first


def test_both_ways_lay_out_the_same_files(revision, repository, home, tmp_path):
    sha = repository.commit(app_py="1", static__x="x")
    revision("prepare", str(home), repository.address, sha)
    revision("built", str(home), sha)
    revision("checkout", str(home), repository.address, sha)
    script = minion.ROOT / "salt/app/files/build-release.sh"
    subprocess.run(["sh", script, home / "source", tmp_path / "other", "true", "none.txt"], check=True)
    ours, theirs = home / "releases" / sha, tmp_path / "other" / sha
    assert {p.relative_to(ours) for p in ours.rglob("*")} - {p.relative_to(theirs) for p in theirs.rglob("*")} == {
        Path(".saltlick.json")
    }
    for path in (p for p in theirs.rglob("*") if p.is_file() and p.name != "REVISION_TIME"):
        other = ours / path.relative_to(theirs)
        assert (path.read_bytes(), path.stat().st_mode) == (other.read_bytes(), other.stat().st_mode)


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
    assert minion.commands("revision") == {
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
