"""An archive out of a store, read before it is unpacked: where it would write, and how much. Sibling of `backup`."""

import gzip
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_files as _files
except ImportError:
    from saltlick.modules import _saltlick_backup_files as _files

FOLDERS = (tarfile.DIRTYPE, b"D")
"""Source: GNU tar's manual, archive format: `D` is a folder with the list of what it held."""
DEVICES = (tarfile.CHRTYPE, tarfile.BLKTYPE)
ATTRIBUTE, ACL = "SCHILY.xattr.", "system.posix_acl_"


@dataclass(frozen=True)
class Content:
    """What unpacking an archive takes."""

    size: int
    """Bytes, unpacked."""
    root: bool
    """Whether it holds what only root can make: devices, set-id files, attributes such as capabilities."""


def look(archive, target=None):
    """
    Read an archive to its end.

    ``target`` is the folder that earlier archives were unpacked into: a link there, where this archive has a folder, is removed,
    and an entry that would go through another one is refused.

    Raises: CommandExecutionError, also where the file system of ``target`` has no room for it.
    """
    size, root = 0, False
    try:
        with gzip.open(archive) as raw:
            if not raw.peek(1):  # what PostgreSQL makes of a folder with nothing in it
                return Content(0, False)
            with tarfile.open(fileobj=raw, mode="r|", errors="surrogateescape") as tar:
                while entry := tar.next():
                    tar.members = []  # it keeps each of them otherwise
                    root = root or _privileged(entry)
                    for name in (entry.name, *([entry.linkname] if entry.islnk() else [])):
                        _inside(name, target, entry)
                size = tar.offset
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise CommandExecutionError(f"{Path(archive).name} cannot be unpacked: {error}") from error
    if target is not None:
        _files.room((target, size, f"what {Path(archive).name} holds"))
    return Content(size, root)


def _privileged(entry):
    attributes = (key[len(ATTRIBUTE) :] for key in entry.pax_headers if key.startswith(ATTRIBUTE))
    return (
        entry.type in DEVICES
        or (entry.mode & 0o6000 and entry.type not in FOLDERS)
        or any(not name.startswith(("user.", ACL)) for name in attributes)
    )


def _inside(name, target, entry):
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise CommandExecutionError(f"the backup has {name!r}, which is no name below a folder")
    if target is None:
        return
    for depth in range(1, len(parts)):
        if Path(target, *parts[:depth]).is_symlink():
            raise CommandExecutionError(f"the backup has {name!r}, which would go through a link")
    path = Path(target, *parts)
    if parts and name == entry.name and entry.type in FOLDERS and path.is_symlink():
        path.unlink()
