"""Files of a backup: folders for work in progress, checksums, the manifest. Sibling of `backup`."""

import contextlib
import fcntl
import gzip
import hashlib
import json
import math
import os
import re
import shutil
import stat
import time
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_traces as _traces
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_traces as _traces

MANIFEST = "manifest.json"
CHUNK = 1 << 20
ID = re.compile(r"\d{8}T\d{6}Z-(full|incr)")
NAME = re.compile(r"[a-z][a-z0-9-]*")
MB = 1 << 20


def named(job, backup=None):
    """Names become folders, here and in the store: CommandExecutionError for what is none."""
    if not NAME.fullmatch(str(job)):
        raise CommandExecutionError(f"{job!r} is not the name of a job")
    if backup is not None and not ID.fullmatch(str(backup)):
        raise CommandExecutionError(f"{backup!r} is not the id of a backup (20261123T020000Z-full)")


@contextlib.contextmanager
def turn(base, job, wait_s=0.0):
    """One at a time per job; the kernel lets go when the process dies.

    CommandExecutionError when another has it, and still has it after `wait_s`.
    """
    folder, deadline = made(base / job), time.monotonic() + wait_s
    with (folder / ".lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    raise CommandExecutionError(f"{job} is being backed up or restored here at this moment") from None
                time.sleep(0.5)
        yield folder


def made(folder):
    """The folder, with those above it: others may pass through by a name they know, and see nothing."""
    for parent in (*reversed(folder.parents), folder):
        if not parent.is_dir():
            parent.mkdir(exist_ok=True)
            parent.chmod(0o711)
    return folder


def emptied(folder):
    """The folder with nothing in it. Raises: CommandExecutionError where something stays."""
    if folder.is_symlink() or not folder.is_dir():
        _traces.removed(folder)
    _traces.cleared(folder)  # the folder itself may be a mount point
    return made(folder)


def fresh(folder):
    """The folder, made by this very call and open to nobody else. Whatever has that name already, a link too, is not used.

    Raises: CommandExecutionError.
    """
    try:
        Path(folder).parent.mkdir(parents=True, exist_ok=True)
        Path(folder).mkdir(mode=0o700)
    except OSError as error:
        raise CommandExecutionError(f"{folder} cannot be made anew: {error.strerror}") from error
    return Path(folder)


def plain(folder):
    """Holds that a folder has files and folders only, and none of them a second name.

    What came from a store is unpacked by root: a link in it would lead the next archive elsewhere. Raises: CommandExecutionError.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            entry = (Path(place) / name).lstat()
            single = stat.S_ISDIR(entry.st_mode) or (stat.S_ISREG(entry.st_mode) and entry.st_nlink == 1)
            if not single:
                raise CommandExecutionError(f"the backup holds a link or a device, {name!r}, where there is none to be")


def there(folder):
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (Path(folder), *Path(folder).parents) if place.is_dir())


def room(*needs):
    """CommandExecutionError unless every file system has what is needed of it, and a tenth more.

    A need is ``(folder, bytes, what for)``; the folder need not exist yet. Those on one file system are added up.
    """
    by_device = {}
    for folder, wanted, what in needs:
        place = there(folder)
        by_device.setdefault(place.stat().st_dev, []).append((place, wanted * 1.1, what))
    lacking = []
    for parts in by_device.values():
        usage, wanted = shutil.disk_usage(parts[0][0]), sum(part[1] for part in parts)
        free = usage.free
        if usage.total and free < wanted:  # some file systems do not say how much they hold
            reasons = ", ".join(f"{_mb(part[1])} for {part[2]} in {part[0]}" for part in parts)
            lacking.append(f"{parts[0][0]} has {_mb(free)} free, and {_mb(wanted)} are needed ({reasons})")
    if lacking:
        raise CommandExecutionError(f"there is no room, and nothing was begun: {'; '.join(lacking)}")


def _mb(size):
    return f"{math.ceil(size / MB)} MB"


def digest(path):
    """SHA-256 of a file's content, and its size in bytes."""
    sha, size = hashlib.sha256(), 0
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK):
            sha.update(chunk)
            size += len(chunk)
    return {"sha256": sha.hexdigest(), "size": size}


def inventory(folder):
    """``{name below the folder: {sha256, size}}`` of every file but the manifest."""
    return {
        str(path.relative_to(folder)): digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def strangers(names, manifest):
    """The files among these names that are none of a backup's, a sentence each."""
    return [f"{name} is no file of this backup" for name in sorted({*names} - {*manifest["files"], MANIFEST})]


def unlike(sizes, manifest):
    """``{name: sentence}`` of a backup's files that are not there as large as its manifest says; `sizes` are bytes by name."""
    problems = {}
    for name, expected in sorted(manifest["files"].items()):
        if name not in sizes:
            problems[name] = f"{name} is missing"
        elif sizes[name] != expected["size"]:
            problems[name] = f"{name} has {sizes[name]} bytes and not {expected['size']}"
    return problems


def differences(folder, manifest):
    """``{name: sentence}`` of the files in a local copy of a backup that are not as its manifest says."""
    paths = {name: folder / name for name in manifest["files"]}
    actual = {name: digest(path) for name, path in paths.items() if path.is_file() and not path.is_symlink()}
    problems = unlike({name: found["size"] for name, found in actual.items()}, manifest)
    for name, found in actual.items():
        if name not in problems and found["sha256"] != manifest["files"][name]["sha256"]:
            problems[name] = f"{name} has other content than when it was written (SHA-256)"
    return problems


def write(path, facts):
    """JSON, whole or not at all, on the disk when this returns."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with fresh.open("x", encoding="utf-8") as file:
        json.dump(facts, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read(path):
    """JSON; empty where there is no file. CommandExecutionError where there is one that cannot be read."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CommandExecutionError(f"{path} cannot be read: {error}") from error


def packed(source, target):
    """A gzip of one file, for root alone. Raises: CommandExecutionError where it is a link or no file."""
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with (
        regular(source) as plain,
        os.fdopen(os.open(target, new, 0o600), "wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as file,
    ):
        shutil.copyfileobj(plain, file, CHUNK)


def copied(source, target):
    """A copy of one file, for root alone. Raises: CommandExecutionError where it is a link or no file."""
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with regular(source) as plain, os.fdopen(os.open(target, new, 0o600), "wb") as raw:
        shutil.copyfileobj(plain, raw, CHUNK)


def regular(path):
    """An open file, in a folder of somebody else: CommandExecutionError where it is a link, a pipe, or another name of a file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise CommandExecutionError(f"{path} cannot be read: {error.strerror}") from error
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        os.close(handle)
        raise CommandExecutionError(f"{path} is not a file with one name, so it is not backed up")
    return os.fdopen(handle, "rb")


def given(path, entry):
    """Let a folder and all in it belong to that account."""
    _commands.run(["chown", "-R", "-h", f"{entry.pw_uid}:{entry.pw_gid}", path])
