"""Folders that cannot be exchanged, or have no room beside them, are found out before anything is fetched: by drills too."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from functional.modules.backup.conftest import Backups, names, shell
from salt.exceptions import CommandExecutionError

Mount = Callable[..., Path]


@pytest.fixture
def uploads(work: Path) -> Path:
    folder = work / "uploads"
    folder.mkdir()
    (folder / "file").write_text("first")
    return folder


def refused(backups: Backups, said: str, *chain: dict[str, Any], **more: Any) -> None:
    """Drill and restore say the same, though the store has nothing to fetch any more but the manifests."""
    for link in chain:
        for archive in (backups.store / link["id"]).glob("*.tar.gz"):
            archive.unlink()
    for swap in (False, True):
        with pytest.raises(CommandExecutionError, match=said):
            backups.restore(*chain, swap=swap, **more)


def test_a_mount_point_is_said_when_it_is_backed_up_and_before_it_is_restored(
    backups: Backups, uploads: Path, mounted: Mount
) -> None:
    shutil.rmtree(uploads)
    mounted(uploads)
    (uploads / "file").write_text("on a volume")
    full = backups.take(uploads)
    said = (
        f"{uploads} is a mount point here, which nothing can be exchanged for: keep the data in a folder inside of it"
    )
    (warning,) = full["warnings"]
    assert warning.startswith(f"this could not be restored here: {said}")
    refused(backups, said, full)
    assert (uploads / "file").read_text() == "on a volume"
    assert names(uploads.parent) == ["uploads"]


def test_a_folder_inside_of_a_mount_point_is_restored(backups: Backups, work: Path, mounted: Mount) -> None:
    folder = mounted(work / "volume") / "data"
    folder.mkdir()
    (folder / "file").write_text("first")
    full = backups.take(folder)
    (folder / "file").write_text("second")
    backups.restore(full, swap=False)
    backups.restore(full)
    assert (folder / "file").read_text() == "first"
    assert full["warnings"] == []


@pytest.mark.parametrize("name", ["inside", "with blank"])
def test_what_is_mounted_inside_of_a_folder_would_go_aside_with_it(
    backups: Backups, uploads: Path, mounted: Mount, name: str
) -> None:
    mounted(uploads / name)
    full = backups.take(uploads)
    said = rf"in {uploads} there are mount points \({uploads}/{name}\), which would go aside with it"
    assert said.replace("\\", "") in full["warnings"][0]
    refused(backups, said, full)


def test_a_link_to_a_mount_point_is_one(backups: Backups, work: Path, mounted: Mount) -> None:
    mounted(work / "volume")
    (work / "uploads").symlink_to("volume")
    refused(backups, f"{work}/volume is a mount point here", backups.take(work / "uploads"))


@pytest.mark.parametrize("attribute", ["i", "a"])
def test_a_folder_that_must_not_be_renamed(backups: Backups, uploads: Path, attribute: str) -> None:
    full = backups.take(uploads)
    shell(f"chattr +{attribute} uploads", uploads.parent)
    try:
        refused(backups, "has the attribute i or a, so it cannot be exchanged: chattr -ia", full)
    finally:
        shell(f"chattr -{attribute} uploads", uploads.parent)


def test_a_file_system_that_is_read_only(backups: Backups, work: Path, mounted: Mount) -> None:
    folder = mounted(work / "volume") / "data"
    folder.mkdir()
    full = backups.take(folder)
    shell("mount -o remount,ro volume", work)
    refused(backups, f"beside {folder} no folder can be made: Read-only file system", full)


def test_a_name_that_is_too_long_to_put_another_beside(backups: Backups, work: Path) -> None:
    folder = work / ("x" * 245)
    folder.mkdir()
    full = backups.take(folder)
    assert "File name too long" in full["warnings"][0]
    refused(backups, "File name too long", full)


def test_no_room_where_it_is_unpacked(backups: Backups, work: Path, mounted: Mount) -> None:
    """What is fetched is small, what comes out of it is not. Three folders on two file systems, all said at once."""
    volume = mounted(work / "small", size="40m")
    other = mounted(work / "other", size="12m")
    folders = [volume / "one", volume / "two", other / "three"]
    for folder in folders:
        folder.mkdir()
    for folder in folders[:2]:
        (folder / "zeros").write_bytes(bytes(15 << 20))
    (folders[2] / "zeros").write_bytes(bytes(8 << 20))
    full = backups.take(*folders)
    assert full["size"] < 1 << 20
    said = (
        rf"there is no room, and nothing was begun: {other} has 4 MB free, and 9 MB are needed"
        rf" \(9 MB for {folders[2]} in {other}\)"
        rf"; {volume} has 10 MB free, and 33 MB are needed"
        rf" \(17 MB for {folders[0]} in {volume}, 17 MB for {folders[1]} in {volume}\)"
    )
    refused(backups, said, full)
    (folders[0] / "zeros").unlink()
    (folders[1] / "zeros").unlink()
    with pytest.raises(CommandExecutionError, match=f"begun: {other} has 4 MB free"):
        backups.restore(full)


def test_no_room_where_it_is_fetched(backups: Backups, uploads: Path, mounted: Mount) -> None:
    (uploads / "random").write_bytes(os.urandom(6 << 20))
    full = backups.take(uploads)
    said = r"there is no room, and nothing was begun: .* 7 MB are needed \(7 MB for what is fetched in"
    mounted(backups.state / "restore", size="4m")
    mounted(backups.state / "verify", size="4m")
    refused(backups, said, full)
    with pytest.raises(CommandExecutionError, match=said):
        backups.module["backup.verify"]("vault", backups.job, full["id"])


def test_folders_inside_of_each_other_are_refused(backups: Backups, work: Path) -> None:
    (work / "app" / "uploads").mkdir(parents=True)
    (work / "link").symlink_to("app/uploads")
    for inner in ("app/uploads", "link"):
        with pytest.raises(CommandExecutionError, match=rf"{inner} .* lies in {work}/app .*: declare one of them"):
            backups.take(work / "app", work / inner)
    with pytest.raises(CommandExecutionError, match="declare one of them"):
        backups.take(work / "app/uploads", work / "link")
    assert not backups.store.exists()


def test_a_folder_that_holds_the_work_of_backups_itself_is_refused(backups: Backups) -> None:
    with pytest.raises(CommandExecutionError, match=r"holds .*, where backups are made: declare folders beside it"):
        backups.take(backups.state.parent)


def test_a_link_to_nothing_and_a_file_are_no_folders(backups: Backups, work: Path) -> None:
    (work / "dangling").symlink_to("nowhere")
    (work / "file").touch()
    with pytest.raises(CommandExecutionError, match=f"dangling is a link to {work}/nowhere, and there is nothing"):
        backups.take(work / "dangling")
    with pytest.raises(CommandExecutionError, match="file: no folder here"):
        backups.take(work / "file")


def test_where_one_folder_cannot_be_exchanged_none_is(
    backups: Backups, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [work / "one", work / "two", work / "three"]
    for folder in folders:
        folder.mkdir()
        (folder / "file").write_text("first")
    full = backups.take(*folders)
    shutil.rmtree(folders[0])
    for folder in folders[1:]:
        (folder / "file").write_text("second")
    swap = sys.modules["_saltlick_backup_swap"]
    real = swap.exchange

    def busy(fresh: Path, place: Path) -> None:
        if place.parent.resolve() / place.name == folders[2]:
            raise CommandExecutionError(f"{place} is busy")
        real(fresh, place)

    monkeypatch.setattr(swap, "exchange", busy)
    with pytest.raises(CommandExecutionError, match="three is busy"):
        backups.restore(full)
    assert names(work) == ["three", "two"]
    assert {(folder / "file").read_text() for folder in folders[1:]} == {"second"}


def test_what_is_kept_and_cannot_be_removed_is_said_before_anything_is_exchanged(
    backups: Backups, uploads: Path, mounted: Mount
) -> None:
    full = backups.take(uploads)
    (uploads / "file").write_text("second")
    mounted(uploads.parent / "uploads.before-restore" / "volume")
    with pytest.raises(
        CommandExecutionError, match=r"before-restore cannot be removed, and may hold personal data: .*busy"
    ):
        backups.restore(full)
    assert (uploads / "file").read_text() == "second"


def test_a_folder_that_is_not_there_any_more_is_restored(backups: Backups, uploads: Path) -> None:
    full = backups.take(uploads)
    shutil.rmtree(uploads)
    assert backups.restore(full)["kept"] == []
    assert (uploads / "file").read_text() == "first"
