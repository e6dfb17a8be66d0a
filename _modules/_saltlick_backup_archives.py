"""An archive out of a store, read before it is unpacked: where it would write, and how much. Sibling of `backup`."""

import gzip
import math
import shutil
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


HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
LARGEST_HEADER = 1 << 20
"""Bytes: names and attributes are read as a whole."""
CHUNK = 1 << 20


class _Entry(tarfile.TarInfo):
    """An entry whose headers are no larger than ours are."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in HEADERS and not 0 <= entry.size <= LARGEST_HEADER:
            raise CommandExecutionError(f"the backup has a header of {entry.size} bytes, which is none of tar's")
        return entry


def content(path, largest):
    """How many bytes a file of gzip holds. CommandExecutionError where they are more than `largest`; it reads no further."""
    size = 0
    try:
        with gzip.open(path) as raw:
            while chunk := raw.read(CHUNK):
                size += len(chunk)
                if size > largest:
                    raise CommandExecutionError(
                        f"{Path(path).name} holds more than the {largest} bytes that it can have, so it was not unpacked"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise CommandExecutionError(f"{Path(path).name} cannot be unpacked: {error}") from error
    return size


def look(archive, target, follows=False, plain=False):
    """
    Read an archive to its end before it is unpacked into ``target``. Whether it holds what only root can make: devices, set-id
    files, attributes such as capabilities.

    With ``plain``, only files and folders are allowed.

    With ``follows``, earlier archives were unpacked there: a link, where this archive has a folder, is removed, and an entry that
    would go through another one is refused.

    Raises: CommandExecutionError, also where there is no room for it: that is seen by what headers say, before it is read.
    """
    size, root, free = 0, False, _free(target)
    try:
        with gzip.open(archive) as raw:
            if not raw.peek(1):  # what PostgreSQL makes of a folder with nothing in it
                return False
            with tarfile.open(fileobj=raw, mode="r|", errors="surrogateescape", tarinfo=_Entry) as tar:
                while entry := tar.next():
                    tar.members = []  # it keeps each of them otherwise
                    if tar.offset > free:
                        break
                    root = root or _privileged(entry)
                    if plain and not (entry.isreg() or entry.type in FOLDERS):
                        raise CommandExecutionError(f"the backup holds a link or a device, {entry.name!r}")
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


def _free(folder):
    """Bytes; without end where the file system does not say how much it holds."""
    usage = shutil.disk_usage(_files.there(folder))
    return usage.free if usage.total else math.inf


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
