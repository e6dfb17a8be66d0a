"""What was restored takes the place of what serves: by exchanging two names, so that at no moment there is neither.

Sibling of `backup`.
"""

import contextlib
import ctypes
import os
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_traces as _traces
except ImportError:
    from saltlick.modules import _saltlick_backup_traces as _traces

_AT_FDCWD = -100
_EXCHANGE = 2
"""Source: renameat2(2), RENAME_EXCHANGE."""


def exchange(fresh, place):
    """Both exist before and after, under each other's name; atomic. Raises: CommandExecutionError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise CommandExecutionError(
            "this system cannot exchange two folders (renameat2), so nothing was put in their place"
        )
    if libc.renameat2(_AT_FDCWD, os.fsencode(fresh), _AT_FDCWD, os.fsencode(place), _EXCHANGE):
        code = ctypes.get_errno()
        raise CommandExecutionError(f"{fresh} and {place} cannot be exchanged: {os.strerror(code)}")


def replace(pairs):
    """Let each fresh file or folder take its place: all of these pairs, or none.

    Where there was nothing, it is moved there; elsewhere `fresh` is afterwards what was there. Raises: CommandExecutionError.
    """
    with contextlib.ExitStack() as back:
        for fresh, place in pairs:
            if os.path.lexists(place):
                exchange(fresh, place)
                back.callback(exchange, fresh, place)
            else:
                _rename(fresh, place)
                back.callback(_rename, place, fresh)
        back.pop_all()


def aside(path):
    """Where what served is kept until the next time."""
    return path.with_name(f"{path.name}.before-restore")


def rehearse(pairs):
    """What `replace` does and what follows it, with an empty file or folder beside each place in the part of what serves.

    What is fresh is removed with it. Raises: CommandExecutionError.
    """
    pairs = [(fresh, place.with_name(f".{place.name}.drill")) for fresh, place in pairs]
    try:
        for fresh, stand_in in pairs:
            _traces.removed(stand_in)
            stand_in.mkdir(mode=0o700) if fresh.is_dir() else stand_in.touch(mode=0o600, exist_ok=False)
        replace(pairs)
        for fresh, stand_in in pairs:
            _traces.removed(aside(stand_in))
            _rename(fresh, aside(stand_in))
    finally:
        for _, stand_in in pairs:
            _traces.removed(stand_in)
            _traces.removed(aside(stand_in))


def _rename(path, to):
    try:
        Path(path).rename(to)
    except OSError as error:
        raise CommandExecutionError(f"{path} cannot be moved to {to}: {error.strerror}") from error
