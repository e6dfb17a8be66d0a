"""An archive out of a store, read before it is unpacked: where it would write, and how much. Sibling of `backup`."""

import gzip
import tarfile
import zlib
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


def look(archive, target, follows=False):
    """
    Read an archive to its end before it is unpacked into ``target``. Whether it holds what only root can make: devices, set-id
    files, attributes such as capabilities.

    With ``follows``, earlier archives were unpacked there: a link, where this archive has a folder, is removed, and an entry that
    would go through another one is refused.

    Raises: CommandExecutionError, also where there is no room for it.
    """
    size, root = 0, False
    try:
        with gzip.open(archive) as raw:
            if not raw.peek(1):  # what PostgreSQL makes of a folder with nothing in it
                return False
            with tarfile.open(fileobj=raw, mode="r|", errors="surrogateescape") as tar:
                while entry := tar.next():
                    tar.members = []  # it keeps each of them otherwise
                    root = root or _privileged(entry)
                    for name in (entry.name, *([entry.linkname] if entry.islnk() else [])):
                        parts = _inside(name)
                        if follows:
                            _by_no_link(target, parts, name)
                    if follows and entry.type in FOLDERS:
                        _no_link(Path(target, *_inside(entry.name)))
                size = tar.offset
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise CommandExecutionError(f"{Path(archive).name} cannot be unpacked: {error}") from error
    _files.room((target, size, f"what {Path(archive).name} holds"))
    return root


def _privileged(entry):
    attributes = (key[len(ATTRIBUTE) :] for key in entry.pax_headers if key.startswith(ATTRIBUTE))
    return (
        entry.type in DEVICES
        or (entry.mode & 0o6000 and entry.type not in FOLDERS)
        or any(not name.startswith(("user.", ACL)) for name in attributes)
    )


def _inside(name):
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise CommandExecutionError(f"the backup has {name!r}, which is no name below a folder")
    return parts


def _by_no_link(target, parts, name):
    for depth in range(1, len(parts)):
        if Path(target, *parts[:depth]).is_symlink():
            raise CommandExecutionError(f"the backup has {name!r}, which would go through a link")


def _no_link(path):
    if path.is_symlink():
        path.unlink()
