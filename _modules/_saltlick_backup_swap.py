"""What was restored takes the place of what serves: by exchanging two names, so that at no moment there is neither.

Sibling of `backup`.
"""

import ctypes
import os

from salt.exceptions import CommandExecutionError

_AT_FDCWD = -100
_EXCHANGE = 2
"""Source: renameat2(2), RENAME_EXCHANGE."""


def exchange(one, other):
    """Both exist before and after, under each other's name; atomic. Raises: CommandExecutionError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise CommandExecutionError(
            "this system cannot exchange two folders (renameat2), so nothing was put in their place"
        )
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE):
        code = ctypes.get_errno()
        raise CommandExecutionError(f"{one} and {other} cannot be exchanged: {os.strerror(code)}")
