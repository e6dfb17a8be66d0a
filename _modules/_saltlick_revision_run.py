"""Commands that run as the application's user. Sibling of `revision`."""

import contextlib
import os
import re
import threading

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_user_command as _command
except ImportError:
    from saltlick.modules import _saltlick_user_command as _command

DEADLINE_S = 600
_kept = threading.local()


@contextlib.contextmanager
def keeping(handle):
    """Commands that this thread runs meanwhile keep the file open, and with it the lock on it."""
    _kept.handles = (handle,)
    try:
        yield
    finally:
        _kept.handles = ()


def run(command, user, allowed=(0,), given=""):
    """What a command prints, run as the user (see ``_saltlick_user_command.run``). Errors hold no credentials."""
    environ = _environment(user)
    try:
        return _command.run(
            command, user, environ, umask=0o022, deadline_s=DEADLINE_S, allowed=allowed, given=given, shown=_shown,
            handles=getattr(_kept, "handles", ()),
        )  # fmt: skip
    except CommandExecutionError as error:
        raise CommandExecutionError(bare(error)) from error.__cause__


def _shown(command):
    """A command for people: without where it runs and how it is configured."""
    words, skipping = [], False
    for word in command:
        if not skipping and word not in ("-c", "-C"):
            words.append(word)
        skipping = word in ("-c", "-C")
    return " ".join(words)


def bare(text):
    """Addresses without the credentials in them."""
    return re.sub(r"://[^/@\s]*@", "://", str(text))


def _environment(user):
    """The minion's environment, in which git asks nobody anything and looks at nothing of another repository."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith("GIT_SSL_")
    }
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes", "LC_ALL": "C"}
    return {**kept, **quiet, **_command.named(user)}


def give(path, user):
    """Let a file or folder be the user's."""
    identity = _command.identity(user)
    if identity:
        os.chown(path, identity["user"], identity["group"], follow_symlinks=False)
