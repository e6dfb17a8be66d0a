"""The user of a service owns the folders that its data lies in, and sets traps there: root follows none of them."""

from __future__ import annotations

import contextlib
import gzip
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from functional.modules.backup.conftest import Backups
from salt.exceptions import CommandExecutionError

NOBODY = 65534
SECRET = "root's own\n"
RACE = """
import os, sys
fresh, victim = sys.argv[1:]
print("ready", flush=True)
while True:
    try:
        os.rename(fresh, fresh + ".moved")
    except OSError:
        continue
    try:
        os.symlink(victim, fresh)
    except OSError:
        pass
    break
"""
PLANT = """
import contextlib, os, sys
with contextlib.suppress(FileNotFoundError):
    os.unlink(sys.argv[1])
os.symlink(sys.argv[2], sys.argv[1])
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def victim(place: Path) -> Path:
    path = place / "victim"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


def module(backups: Backups, name: str) -> Any:
    """A sibling of `backup`, as its loader has it."""
    assert backups.module["backup.whose"]  # which loads it
    return sys.modules[f"_saltlick_backup_{name}"]


def begun(code: str, *words: Any, user: int) -> subprocess.Popen[str]:
    command = ["/usr/bin/python3", "-S", "-c", textwrap.dedent(code), *map(str, words)]
    return subprocess.Popen(command, user=user, group=user, extra_groups=[], stdout=subprocess.PIPE, text=True, cwd="/")


def owned(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


@pytest.fixture
def uploads(place: Path) -> Path:
    """In a folder of the user's own."""
    (place / "srv").mkdir()
    (place / "srv" / "uploads").mkdir()
    (place / "srv" / "uploads" / "evil").write_text("* * * * * root id")
    for path in (place / "srv", place / "srv" / "uploads", place / "srv" / "uploads" / "evil"):
        owned(path)
    return place / "srv" / "uploads"


@pytest.mark.parametrize("swap", [False, True], ids=["drill", "restore"])
def test_a_folder_that_the_user_renames_while_root_works_leads_nowhere(
    backups: Backups, uploads: Path, place: Path, swap: bool
) -> None:
    links = [backups.take(uploads)]
    owned_file = uploads / "second"
    owned_file.write_text("x")
    owned(owned_file)
    links.append(backups.take(uploads, mode="incr"))
    target = place / "cron.d"
    target.mkdir()
    (target / "honest").write_text(SECRET)
    for _ in range(6):
        user = begun(RACE, uploads.with_name(".uploads.restored"), target, user=NOBODY)
        assert user.stdout
        user.stdout.readline()
        with contextlib.suppress(CommandExecutionError):  # where the user was quick, it is refused
            backups.restore(*links, swap=swap)
        user.kill()
        user.wait()
        assert [path.name for path in target.iterdir()] == ["honest"]
        assert target.stat().st_uid == 0
        for path in uploads.parent.iterdir():
            if path != uploads:
                path.unlink() if path.is_symlink() else shutil.rmtree(path)


WHO = """#!/bin/sh
case " $* " in *" -xzpf "*) id -un >>"$WHO" ;; esac
exec /usr/bin/tar "$@"
"""


def test_what_one_user_owns_is_unpacked_by_that_user(
    backups: Backups, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place / "games"
    folder.mkdir()
    (folder / "file").write_text("x")
    entry = pwd.getpwnam("games")
    for path in (folder, folder / "file"):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    full = backups.take(folder)
    (place / "bin").mkdir()
    (place / "bin" / "tar").write_text(WHO)
    (place / "bin" / "tar").chmod(0o755)
    (place / "who").touch()
    (place / "who").chmod(0o666)
    monkeypatch.setenv("PATH", f"{place}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("WHO", str(place / "who"))
    (folder / "file").write_text("later")
    backups.restore(full)
    assert (place / "who").read_text() == "games\n"
    assert ((folder / "file").read_text(), (folder / "file").owner()) == ("x", "games")


@pytest.mark.parametrize("swap", [False, True], ids=["drill", "restore"])
def test_scripts_and_checks_of_a_folder_run_as_its_owner(backups: Backups, place: Path, swap: bool) -> None:
    folder = place / "games"
    folder.mkdir()
    entry = pwd.getpwnam("games")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    full = backups.take(folder)
    checks = [{"name": "who", "command": "id -un"}, {"name": "root", "command": "id -un", "user": "root"}]
    script = {"command": 'id -un > "$RESTORED/ran"; test "$(stat -c %U "$RESTORED/ran")" = games'}
    done = backups.restore(full, swap=swap, checks=checks, scripts=[script])
    assert [check["value"] for check in done["checks"]] == ["games", "root"]


@pytest.mark.parametrize("more", [{"checks": [{"name": "x", "command": "id"}]}, {"scripts": [{"command": "id"}]}])
def test_a_command_becomes_root_only_where_it_says_so(backups: Backups, place: Path, more: dict[str, Any]) -> None:
    (place / "of-root").mkdir()
    full = backups.take(place / "of-root")
    with pytest.raises(
        CommandExecutionError, match=r"of-root run as the owner of what is there, which is root: say `user`"
    ):
        backups.restore(full, **more)


def test_a_check_of_a_database_runs_as_its_user(backups: Backups, cluster: dict[str, Any]) -> None:
    scratch = module(backups, "scratch").Scratch(cluster, cluster["target"])
    checks = [{"name": "who", "command": "id -un"}, {"name": "root", "command": "id -un", "user": "root"}]
    found = module(backups, "checks").checked(checks, cluster["user"], scratch)
    assert [check["value"] for check in found] == ["postgres", "root"]


BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))


@pytest.fixture
def cluster(place: Path) -> dict[str, Any]:
    """An empty cluster, its folder and the one above of the user `postgres`."""
    if not (BIN / "initdb").exists():
        pytest.skip("needs the programs of PostgreSQL (apt-get install postgresql)")
    entry = pwd.getpwnam("postgres")
    os.chown(place, entry.pw_uid, entry.pw_gid)
    target = place / "main.restored"
    command = [str(BIN / "initdb"), "-D", str(target), "-A", "trust", "-N"]
    subprocess.run(command, check=True, user="postgres", group="postgres", capture_output=True, cwd="/")
    return {"user": "postgres", "bin_dir": str(BIN), "socket_dir": str(place), "port": 5999, "target": target}


def planted(target: Path, name: str, victim: Path) -> None:
    """A link in its own folder, by the database's user."""
    assert begun(PLANT, target / name, victim, user=pwd.getpwnam("postgres").pw_uid).wait() == 0


def attempt(work: Callable[[], Any]) -> None:
    said = ""
    try:
        work()
    except CommandExecutionError as error:
        said = str(error)
    assert SECRET.strip() not in said


@pytest.mark.parametrize(
    "name",
    [
        "saltlick-scratch.conf",
        "saltlick-scratch-hba.conf",
        "saltlick-scratch-ident.conf",
        "saltlick-scratch.log",
        "saltlick.sql",
        "postgresql.auto.conf",
        "recovery.signal",
        "postgresql.conf",
        "PG_VERSION",
    ],
)
def test_root_writes_and_reads_through_no_link_of_the_databases_user(
    backups: Backups, cluster: dict[str, Any], place: Path, victim: Path, name: str
) -> None:
    target = cluster["target"]
    scratch, recovery = module(backups, "scratch"), module(backups, "recovery")
    rewrite = module(backups, "rewrite")
    serving = place / "main"
    shutil.copytree(target, serving)
    for folder in (target, serving):
        subprocess.run(["chown", "-R", "postgres:postgres", folder], check=True)
        planted(folder, name, victim)
    attempt(lambda: recovery._aim(cluster, target, "", "latest"))
    attempt(lambda: scratch.Scratch(cluster, target)._configured({}))
    attempt(lambda: scratch.Scratch(cluster, target).psql("postgres", "select 'masked'"))
    attempt(lambda: scratch.Scratch(cluster, target).log(whole=True))
    attempt(lambda: rewrite.configured(target, {**cluster, "data_dir": serving, "config_dir": serving}, all_of_it=True))
    facts = victim.stat()
    assert (victim.read_text(), facts.st_uid, facts.st_mode & 0o777) == (SECRET, 0, 0o600)
    copies = [path for path in target.iterdir() if path.is_file() and not path.is_symlink() and path.name == name]
    assert all(SECRET not in path.read_text("utf-8", "replace") for path in copies)


def test_what_alter_system_said_in_a_backup_does_not_come_back(backups: Backups, cluster: dict[str, Any]) -> None:
    target, auto = cluster["target"], cluster["target"] / "postgresql.auto.conf"
    auto.write_text("shared_preload_libraries = '/tmp/evil.so'\n")
    recovery = module(backups, "recovery")
    recovery._aim(cluster, target, "", "latest")
    recovery.Recovered(cluster, target).finished()
    module(backups, "rewrite").configured(target, {**cluster, "data_dir": target / "gone"}, all_of_it=False)
    assert auto.read_text() == ""
    assert auto.owner() == "postgres"


def test_a_link_among_received_wal_is_not_backed_up(backups: Backups, place: Path, victim: Path) -> None:
    files = module(backups, "files")
    (place / "00000009.history").symlink_to(victim)
    with pytest.raises(CommandExecutionError, match="cannot be read"):
        files.packed(place / "00000009.history", place / "copy.gz")
    os.link(victim, place / "00000008.history")
    with pytest.raises(CommandExecutionError, match="is not a file with one name"):
        files.packed(place / "00000008.history", place / "copy.gz")


def test_copies_for_a_store_are_for_root_alone(backups: Backups, place: Path) -> None:
    segment = place / "segment"
    segment.write_bytes(b"wal")
    before = os.umask(0o022)
    try:
        module(backups, "files").packed(segment, place / "segment.gz")
    finally:
        os.umask(before)
    assert gzip.decompress((place / "segment.gz").read_bytes()) == b"wal"
    assert (place / "segment.gz").stat().st_mode & 0o077 == 0
