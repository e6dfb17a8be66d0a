"""A store without a signing key is not believed further than its archives go: none writes beside the folder that is restored."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from functional.modules.backup.conftest import Backups, names
from salt.exceptions import CommandExecutionError

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", link: str = "") -> Member:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode, entry.size = kind, link, 0o755, len(data)
    entry.uname = entry.gname = "root"
    return entry, data


def forged(backups: Backups, took: dict[str, Any], *members: Member) -> None:
    """The store's owner writes another archive, and a manifest to match."""
    folder = backups.store / took["id"]
    name = next(iter(took["directories"].values()))
    with tarfile.open(folder / name, "w:gz") as tar:
        for entry, data in members:
            tar.addfile(entry, io.BytesIO(data))
    raw = (folder / name).read_bytes()
    facts = json.loads((folder / "manifest.json").read_text())
    facts["files"][name] = {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    facts["size"] = len(raw)
    (folder / "manifest.json").write_text(json.dumps(facts))


@pytest.fixture
def uploads(work: Path) -> Path:
    (work / "uploads").mkdir()
    (work / "uploads" / "file").write_text("serves")
    return work / "uploads"


@pytest.fixture
def target(work: Path) -> Path:
    """What lies elsewhere on the server."""
    (work / "cron.d").mkdir()
    (work / "cron.d" / "honest").write_text("root's own")
    return work / "cron.d"


FOLDER = member("./", tarfile.DIRTYPE)


@pytest.mark.parametrize("swap", [False, True], ids=["drill", "restore"])
@pytest.mark.parametrize(
    "second",
    [
        lambda: member("./x/evil", data=b"evil"),
        lambda: member("./x/honest", data=b"evil"),
        lambda: member("./y", tarfile.LNKTYPE, link="x/honest"),
        lambda: member("./x/folder", tarfile.DIRTYPE),
        lambda: member("../evil", data=b"evil"),
        lambda: member("/tmp/evil", data=b"evil"),
        lambda: member("./y", tarfile.LNKTYPE, link="../cron.d/honest"),
    ],
)
def test_what_one_archive_links_to_the_next_does_not_write(
    backups: Backups, uploads: Path, target: Path, swap: bool, second: Callable[[], Member]
) -> None:
    full = backups.take(uploads)
    (uploads / "later").write_text("x")
    link = backups.take(uploads, mode="incr")
    forged(backups, full, FOLDER, member("./x", tarfile.SYMTYPE, link=str(target)))
    forged(backups, link, FOLDER, second())
    with pytest.raises(CommandExecutionError, match=r"which (is no name below a folder|would go through a link)"):
        backups.restore(full, link, swap=swap)
    assert names(target) == ["honest"]
    assert ((target / "honest").read_text(), (target / "honest").stat().st_nlink) == ("root's own", 1)
    assert (uploads / "file").read_text() == "serves"


def test_a_folder_in_the_place_of_a_link_is_restored(backups: Backups, uploads: Path, target: Path) -> None:
    (uploads / "x").symlink_to(target)
    full = backups.take(uploads)
    (uploads / "x").unlink()
    (uploads / "x").mkdir()
    (uploads / "x" / "file").write_text("in a folder now")
    link = backups.take(uploads, mode="incr")
    backups.restore(full, link)
    assert (uploads / "x" / "file").read_text() == "in a folder now"
    assert names(target) == ["honest"]


def test_an_archive_of_which_more_comes_out_than_there_is_room_for_is_not_unpacked(
    backups: Backups, work: Path, mounted: Callable[..., Path]
) -> None:
    folder = mounted(work / "volume", size="40m") / "uploads"
    folder.mkdir()
    (folder / "file").write_text("serves")
    full = backups.take(folder)
    forged(backups, full, FOLDER, member("./zeros", data=bytes(200 << 20)))
    with pytest.raises(CommandExecutionError, match=r"there is no room, and nothing was begun: .* 221 MB are needed"):
        backups.restore(full)
    assert names(folder.parent) == ["uploads"]
    assert (folder / "file").read_text() == "serves"
