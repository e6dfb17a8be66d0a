"""Where data lies, and whether what was restored beside it can take its place. Sibling of `backup`.

Looked at before anything is fetched, for drills too: what cannot be exchanged is found out by reading and with empty folders.
"""

import contextlib
import fcntl
import os
import re
import struct
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_files as _files
    import _saltlick_backup_swap as _swap
except ImportError:
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_swap as _swap

MOUNTS = Path("/proc/self/mountinfo")
GET_FLAGS = 0x80086601
FIXED = 0x10 | 0x20
"""Source: ioctl_iflags(2): FS_IOC_GETFLAGS; FS_IMMUTABLE_FL and FS_APPEND_FL, as `chattr +i` and `+a` set them."""


def real(path):
    """Where a path leads, through every link on the way: the link stays, and what it leads to is exchanged.

    Raises: CommandExecutionError where a link leads to nothing.
    """
    try:
        place = Path(os.path.realpath(path))
        if os.path.lexists(path) and not place.exists():
            raise CommandExecutionError(f"{path} is a link to {place}, and there is nothing")
    except OSError as error:
        raise CommandExecutionError(f"{path} cannot be followed: {error.strerror}") from error
    return place


def apart(paths, own):
    """``{declared path: where it leads}``. Raises: CommandExecutionError where one is, or lies in, another, or holds `own`.

    Each is exchanged by itself, so the one inside would be restored twice, and the second time into what is put aside.
    """
    places = {path: real(path) for path in paths}
    for path, place in places.items():
        for other, above in places.items():
            if path != other and (place == above or above in place.parents):
                raise CommandExecutionError(
                    f"{path} ({place}) lies in {other} ({above}), which has it already: declare one of them"
                )
        if place in (own, *own.parents):
            raise CommandExecutionError(
                f"{path} ({place}) holds {own}, where backups are made: declare folders beside it"
            )
    return places


def exchangeable(place, beside=None):
    """Whether something in the folder `beside` (left out: the one that `place` lies in) can take its place.

    Raises: CommandExecutionError that says what stands against it and what to do.
    """
    place = Path(place)
    mounted = mounts(place)
    if place in mounted:
        raise CommandExecutionError(
            f"{place} is a mount point here, which nothing can be exchanged for:"
            f" keep the data in a folder inside of it ({place}/data) and declare that"
        )
    if mounted:
        raise CommandExecutionError(
            f"in {place} there are mount points ({', '.join(map(str, mounted))}), which would go aside with it:"
            " mount them outside of it"
        )
    if place.exists() and _flags(place) & FIXED:
        raise CommandExecutionError(f"{place} has the attribute i or a, so it cannot be exchanged: chattr -ia {place}")
    with _probes(_files.there(beside or place.parent), _files.there(place.parent), place.name) as (fresh, stand_in):
        _swap.exchange(fresh, stand_in)


def cluster(data):
    """The same for the data folder of a PostgreSQL server, which has all of it inside: WAL elsewhere would stay behind a link.

    Raises: CommandExecutionError that says what stands against it and what to do.
    """
    wal = Path(data) / "pg_wal"
    if wal.is_symlink():
        raise CommandExecutionError(
            f"{wal} is a link to {wal.readlink()}, which would not be exchanged with {data}, and its WAL would stay:"
            f" stop the server, move that folder to {wal} in place of the link, and start it"
        )
    exchangeable(data)


def warnings(place, *beside, looked=exchangeable):
    """What a backup says of a place that it could not be restored to; it is worth having, for another server or place."""
    try:
        looked(place, *beside)
    except CommandExecutionError as error:
        return [f"this could not be restored here: {error}"]
    return []


@contextlib.contextmanager
def _probes(beside, parent, name):
    """Two empty folders, their names as long as the longest that a restore makes."""
    probes = [beside / f".{name}.restored-probe-1", parent / f".{name}.restored-probe-2"]
    try:
        for probe in probes:
            with contextlib.suppress(FileExistsError):  # of a run that was killed
                probe.mkdir(mode=0o700)
        yield probes
    except OSError as error:
        raise CommandExecutionError(f"beside {parent / name} no folder can be made: {error.strerror}") from error
    finally:
        for probe in probes:
            with contextlib.suppress(OSError):
                probe.rmdir()


def mounts(place):
    """What is mounted at a folder and below it."""
    lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines() if MOUNTS.exists() else []
    points = {Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4])) for line in lines}
    return sorted(point for point in points if place == point or place in point.parents)


def _flags(place):
    """The inode's flags; none where the file system has no such thing."""
    descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return struct.unpack("l", fcntl.ioctl(descriptor, GET_FLAGS, struct.pack("l", 0)))[0]
    except OSError:
        return 0
    finally:
        os.close(descriptor)
