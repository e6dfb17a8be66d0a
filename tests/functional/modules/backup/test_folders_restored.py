"""What is restored of a folder is what was backed up, by the comparison of rsync, which knows nothing of tar."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from functional.modules.backup.conftest import Backups, names, shell, unlike
from salt.exceptions import CommandExecutionError

EVERYTHING = r"""
mkdir -p sub/empty 'with blank' $'line\nend' -- -dash
echo 1 > sub/f; echo 2 > ./-rf; echo 3 > $'\xff\xfe'; echo 4 > $'n\nl'; echo 5 > '*'; echo 6 > '%s'; echo 7 > '\n'; echo 8 > 'ü'
ln sub/f 'hard link'; ln -s sub 'to a folder'; ln -s /nowhere 'to nothing'; chown -h 55:66 'to nothing'
mkfifo pipe; mknod null c 1 3; mknod disk b 7 99
truncate -s 64M sparse; printf x | dd of=sparse bs=1 seek=40000000 conv=notrunc status=none
setfattr -n user.note -v hello sub/f; setfattr -n trusted.t -v 1 sub
setfacl -m u:4711:rw sub/f; setfacl -d -m g:4712:rwx sub
cp /bin/true may-ping; chown 33:7777 may-ping sub/empty; setcap cap_net_raw+ep may-ping
chmod 4755 '*'; chmod 1777 'with blank'; chmod 2750 .; chown 33:33 .
touch -d '2001-02-03 04:05:06.789' sub/f; touch -h -d 2002-02-02 'to nothing'
"""


def kept_copy(folder: Path) -> Path:
    """The folder as it is now, for a comparison later."""
    shell(f"rsync -aHAXS --devices --specials {folder}/ {folder}.copy/", folder.parent)
    return Path(f"{folder}.copy")


def test_everything_that_a_folder_can_hold_comes_back(backups: Backups, work: Path) -> None:
    uploads = work / "uploads"
    uploads.mkdir()
    shell(EVERYTHING, uploads)
    whole = kept_copy(uploads)
    full = backups.take(uploads)
    shell("rm -rf -- * ; echo other > sub", uploads)
    backups.restore(full)
    assert unlike(whole, uploads) == ""
    assert shell("getcap may-ping", uploads).split() == ["may-ping", "cap_net_raw=ep"]
    assert shell("getfattr --only-values -n user.note sub/f", uploads) == "hello"
    assert (uploads / "sparse").stat().st_size == 64 << 20
    assert (uploads / "sparse").stat().st_blocks * 512 < 1 << 20
    assert full["raw_size"] < 1 << 20, "holes were counted"
    assert full["warnings"] == []


def test_a_socket_is_left_out_and_its_neighbours_are_not(backups: Backups, work: Path) -> None:
    folder = work / "run"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        (folder / "file").write_text("here")
        full = backups.take(folder)
    backups.restore(full)
    assert names(folder) == ["file"]
    assert full["warnings"] == []


def test_attributes_of_the_folder_above_do_not_come_in(backups: Backups, work: Path) -> None:
    folder = work / "plain"
    folder.mkdir()
    (folder / "file").write_text("x")
    whole = kept_copy(folder)
    full = backups.take(folder)
    shell("setfacl -d -m u:4711:rwx .", work)
    backups.restore(full)
    assert unlike(whole, folder) == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mkdir a b; echo 1 > a/x; echo 2 > b/y", "mv a t; mv b a; mv t b"),
        ("mkdir -p a/b/c; echo 1 > a/b/c/x; echo 2 > a/y", "mv a/b/c c; mv a c/a"),
        ("mkdir -p a/b; echo 1 > a/b/x", "mv a/b z; mkdir a/b; echo 2 > a/b/n"),
        ("mkdir a; echo 1 > a/x; mkdir b", "rm -r a; ln -s b a"),
        ("mkdir b; echo 1 > b/x; ln -s b a", "rm a; mkdir a; echo 2 > a/x"),
        ("mkdir a; echo 1 > a/x", "rm -r a; echo 2 > a"),
        ("echo 1 > a", "rm a; mkdir a; echo 2 > a/x"),
        ("echo 1 > a; touch -d 2020-01-01 a", "echo 2 > t; touch -d 2020-01-01 t; mv t a"),
        ("mkdir d; echo 1 > d/x", "chmod 700 d; setfacl -m u:4711:r d/x; setfattr -n user.k -v 1 d; chown 33 d/x"),
        ("mkdir d; setfattr -n user.k -v 1 d; setfacl -d -m u:4711:rwx d", "setfattr -x user.k d; setfacl -b d"),
        ("echo 1 > a; ln a b; mkdir d", "ln a d/c; rm b"),
        ("mkdir -p a/b; echo 1 > a/b/x; mkfifo p", "rm -r a p"),
        (r"mkdir -- -d $'n\nl' '%s'; echo 1 > ./-d/x", r"mv -- -d $'\n'; echo 2 > $'n\nl/\\n'; mv '%s' '\n'"),
    ],
)
def test_increments_repeat_what_was_done_in_between(backups: Backups, work: Path, before: str, after: str) -> None:
    folder = work / "data"
    folder.mkdir()
    shell(before, folder)
    full = backups.take(folder)
    shell(after, folder)
    link = backups.take(folder, mode="incr")
    assert (link["mode"], link["base"]) == ("incr", full["id"])
    whole = kept_copy(folder)
    shell("rm -rf -- * .[!.]*", folder)
    backups.restore(full, link)
    assert unlike(whole, folder) == ""


def test_an_increment_of_a_folder_at_rest_holds_no_content(backups: Backups, work: Path) -> None:
    """Also when the server gave its disks other numbers: tar is not asked to look at those."""
    folder = work / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_bytes(os.urandom(300_000))
    assert backups.take(folder)["size"] > 300_000
    link = backups.take(folder, mode="incr")
    assert link["mode"] == "incr"
    assert link["size"] < 3000


def test_folders_whose_names_look_alike_have_an_archive_each(backups: Backups, work: Path) -> None:
    names = ["a/b", "a-b", "a_b", "a%2Fb", "x.d", "x-d", "x", "data/2", "data-2", "2", "é", "é" * 80, "-", "a:b"]
    folders = [work / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "who").write_text(folder.name)
    full = backups.take(*folders)
    assert len(set(full["directories"].values())) == len(names)
    for folder in folders:
        (folder / "who").write_text("changed, and longer")
    link = backups.take(*reversed(folders), mode="incr")
    assert link["mode"] == "incr", link.get("why")
    backups.restore(full)
    assert [(folder / "who").read_text() for folder in folders] == [folder.name for folder in folders]
    backups.restore(full, link)
    assert {(folder / "who").read_text() for folder in folders} == {"changed, and longer"}


def test_an_increment_of_a_folder_whose_name_has_a_dot_goes_on_after_one_that_became_full(
    backups: Backups, work: Path
) -> None:
    folder = work / "app.d"
    folder.mkdir()
    first = backups.take(folder, mode="incr")
    assert (first["mode"], first["why"]) == ("full", "there is no backup yet to go on from")
    assert backups.take(folder, mode="incr")["base"] == first["id"]


def test_a_folder_that_is_declared_later_makes_the_next_backup_a_full_one(backups: Backups, work: Path) -> None:
    for name in ("one", "two"):
        (work / name).mkdir()
    backups.take(work / "one")
    link = backups.take(work / "one", work / "two", mode="incr")
    assert (link["mode"], link["why"]) == ("full", "the last backup is of other folders")
    assert backups.take(work / "two", mode="incr")["mode"] == "full"


def test_a_declared_link_stays_and_what_it_leads_to_is_restored(backups: Backups, work: Path) -> None:
    real = work / "volume" / "uploads"
    real.mkdir(parents=True)
    (real / "file").write_text("first")
    (work / "uploads").symlink_to("volume/uploads")
    full = backups.take(work / "uploads")
    (real / "file").write_text("second")
    done = backups.restore(full)
    assert (work / "uploads").readlink() == Path("volume/uploads")
    assert (real / "file").read_text() == "first"
    assert done["kept"] == [f"{real}.before-restore"]
    assert (work / "volume" / "uploads.before-restore" / "file").read_text() == "second"


def test_a_drill_exchanges_beside_what_serves_and_leaves_nothing(
    backups: Backups, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = work / "uploads"
    folder.mkdir()
    (folder / "file").write_text("serves")
    full = backups.take(folder)
    calls: list[Any] = []
    swap = sys.modules["_saltlick_backup_swap"]
    real = swap.exchange

    def noted(*names: Any) -> Any:
        calls.append([f"{path.parent.resolve().relative_to(work)}/{path.name}" for path in names])
        return real(*names)

    monkeypatch.setattr(swap, "exchange", noted)
    inode = folder.stat().st_ino
    backups.restore(full, swap=False)
    assert [".uploads.restored/data", "./.uploads.drill"] in calls
    assert all("./uploads" not in names for names in calls)
    assert folder.stat().st_ino == inode
    assert names(work) == ["uploads"]


def test_files_of_users_who_are_not_here_are_said_before_anything_is_fetched(backups: Backups, work: Path) -> None:
    folder = work / "uploads"
    folder.mkdir()
    (folder / "file").write_text("x")
    shell("useradd --system saltlick-gone; chown saltlick-gone:saltlick-gone file", folder)
    try:
        full = backups.take(folder)
    finally:
        shell("userdel saltlick-gone", folder)
    assert "saltlick-gone" in full["owners"]["users"]
    said = "users saltlick-gone and groups saltlick-gone, who are not on this server: create them first"
    with pytest.raises(CommandExecutionError, match=said):
        backups.restore(full, swap=False)
    shell("groupadd saltlick-gone; useradd -u 45678 -g saltlick-gone saltlick-gone", folder)
    try:
        backups.restore(full)
        assert (folder / "file").owner() == "saltlick-gone", "it was restored by number"
    finally:
        shell("userdel saltlick-gone", work)


def test_a_file_system_that_does_not_take_the_attributes_is_said(backups: Backups, work: Path, mounted: Any) -> None:
    folder = work / "volume" / "uploads"
    folder.mkdir(parents=True)
    shell("echo 1 > file; setfattr -n user.note -v 1 file", folder)
    full = backups.take(folder)
    volume = mounted(work / "volume", kind="ramfs")
    (volume / "uploads").mkdir()
    with pytest.raises(CommandExecutionError, match=r"does not take what the backup has: .*user\.note"):
        backups.restore(full)
    assert names(volume / "uploads") == []


def test_nobody_looks_into_what_is_being_unpacked(minion: Any, work: Path) -> None:
    """What it holds may be open to all in a folder that is not."""
    sys.modules["_saltlick_backup_tar"].unpack([], work / "fresh")
    assert (work / "fresh").stat().st_mode & 0o777 == 0o700
