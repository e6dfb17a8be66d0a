"""Files in folders that are the application's own: no link that lies there is followed. Sibling of `revision`."""

import contextlib
import os
import re
import secrets
import shutil
import stat
from pathlib import Path

from salt.exceptions import CommandExecutionError

BRIDGED = ".saltlick-bridged"
"""In a release: which of its files are another's, taken over."""


def read(path):
    """The text of a small file; empty when there is none, or when it is a link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(handle, "rb") as file:
        return file.read(100_000).decode("utf-8", "replace")


def write(folder, name, text):
    """A file of the folder's owner, whole or not at all, and never written through a link."""
    with _opened(folder) as at:
        owner = os.fstat(at)
        fresh = f".saltlick.{secrets.token_hex(4)}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=at)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, name, src_dir_fd=at, dst_dir_fd=at)


@contextlib.contextmanager
def _opened(name, at=None):
    """A folder, as a handle that stays with it whatever is moved about; OSError for a link."""
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
    try:
        yield handle
    finally:
        os.close(handle)


def bridge(old, new, name):
    """Take over what the old release itself brought along in a folder, and the new one lacks."""
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise CommandExecutionError(f"bridge: {name!r} is not a folder inside a release")
    known = set(read(old / BRIDGED).splitlines())
    with contextlib.ExitStack() as stack:
        source, target = stack.enter_context(_opened(old)), stack.enter_context(_opened(new))
        for part in parts:
            if not _has_folder(source, part):
                return []
            source = stack.enter_context(_opened(part, source))
            target = stack.enter_context(_entered(part, target))
        return list(_bridge_folder(source, target, "/".join(parts), known))


def _bridge_folder(source, target, name, known):
    for entry in sorted(os.listdir(source)):  # noqa: PTH208 - a handle
        inner = f"{name}/{entry}"
        if _has_folder(source, entry):
            with (
                contextlib.suppress(NotADirectoryError),
                _opened(entry, source) as deeper,
                _entered(entry, target) as there,
            ):
                yield from _bridge_folder(deeper, there, inner, known)
        elif inner not in known and stat.S_ISREG(os.lstat(entry, dir_fd=source).st_mode):
            with contextlib.suppress(FileExistsError):
                os.link(entry, entry, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
                yield inner


def _has_folder(at, name):
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode)
    return False


@contextlib.contextmanager
def _entered(name, at):
    """A folder inside another, made, with the same owner, when it is not there."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=at)
        owner = os.fstat(at)
        if os.geteuid() == 0:
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=at, follow_symlinks=False)
    with _opened(name, at) as handle:
        yield handle


def discard(path):
    """Remove a folder, a file or a link, and nothing that a link points to."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        # As one rename first: whoever looks at the folder meanwhile sees all of it or nothing.
        gone = path.with_name(f".saltlick.gone.{secrets.token_hex(4)}")
        path.rename(gone)
        shutil.rmtree(gone)


def is_folder(path):
    return path.is_dir() and not path.is_symlink()


def entries(folder):
    return list(folder.iterdir()) if is_folder(folder) else []


def words(text):
    """A list of words, given as such or as one text."""
    if isinstance(text, str):
        text = re.split(r"[,\s]+", text)
    return [str(word) for word in text or () if word]
