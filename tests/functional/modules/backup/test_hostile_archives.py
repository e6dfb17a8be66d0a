"""A store without a signing key is not believed further than its archives go: none writes beside the folder that is restored."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
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


def put(backups: Backups, took: dict[str, Any], raw: bytes) -> None:
    """The store's owner writes those bytes in the place of an archive, and a manifest to match."""
    folder = backups.store / took["id"]
    name = next(iter(took["directories"].values()))
    (folder / name).write_bytes(raw)
    facts = json.loads((folder / "manifest.json").read_text())
    facts["files"][name] = {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    facts["size"] = len(raw)
    (folder / "manifest.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("kind", "size", "said"),
    [
        (tarfile.REGTYPE, 1 << 50, "there is no room, and nothing was begun"),
        (tarfile.XHDTYPE, 1 << 32, r"has a header of 4294967296 bytes"),
        (tarfile.GNUTYPE_LONGNAME, 1 << 32, r"has a header of 4294967296 bytes"),
    ],
    ids=["file", "attributes", "name"],
)
def test_an_archive_says_how_much_it_holds_before_it_is_read(
    backups: Backups, uploads: Path, kind: bytes, size: int, said: str
) -> None:
    full = backups.take(uploads)
    entry = tarfile.TarInfo("./zeros")
    entry.type, entry.size = kind, size
    put(backups, full, gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    with pytest.raises(CommandExecutionError, match=said):
        backups.restore(full)
    assert (uploads / "file").read_text() == "serves"


@pytest.fixture
def laid_out(backups: Backups, work: Path) -> Callable[[str, bytes], list[str]]:
    """What lies in the folder of WAL after a base backup and that file of WAL were unpacked."""
    assert backups.module["backup.whose"]  # which loads it
    programs = work / "bin"
    programs.mkdir()
    for name in ("pg_ctl", "pg_verifybackup"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    base = work / "full" / "base"
    base.mkdir(parents=True)
    for name in ("base.tar.gz", "pg_wal.tar.gz"):
        with tarfile.open(base / name, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo(f"of-{name}"))
    (base / "backup_manifest").touch()

    def lay_out(name: str, raw: bytes) -> list[str]:
        wal = work / "link" / "wal"
        wal.mkdir(parents=True)
        (wal / f"{name}.gz").write_bytes(gzip.compress(raw))
        cluster = {"user": "root", "bin_dir": str(programs), "socket_dir": str(work), "port": 1}
        chain, target = [work / "full", work / "link"], work / "main.restored"
        sys.modules["_saltlick_backup_recovery"].lay_out(cluster, chain, target, 1 << 20)
        return names(target / "saltlick-wal")

    return lay_out


@pytest.mark.parametrize(
    ("name", "size"),
    [("000000010000000000000001", 1 << 20), ("000000010000000000000001.partial", 1 << 20), ("00000002.history", 99)],
)
def test_wal_of_its_size_is_unpacked(laid_out: Callable[[str, bytes], list[str]], name: str, size: int) -> None:
    assert laid_out(name, bytes(size)) == [name.removesuffix(".partial")]


@pytest.mark.parametrize("name", ["000000010000000000000001", "000000010000000000000001.partial", "00000002.history"])
def test_a_segment_of_wal_that_holds_more_than_a_segment_is_not_unpacked(
    laid_out: Callable[[str, bytes], list[str]], work: Path, name: str
) -> None:
    with pytest.raises(CommandExecutionError, match=rf"{name}\.gz holds more than the 1048576 bytes that it can have"):
        laid_out(name, bytes((1 << 20) + 1))
    assert names(work / "main.restored" / "saltlick-wal") == []
