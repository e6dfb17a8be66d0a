"""Run a command as a user, with a deadline. Sibling of `backup` and `revision`."""

import contextlib
import os
import pwd
import signal
import subprocess

from salt.exceptions import CommandExecutionError

LAST_LINES = 5
"""So many lines of what a failed command printed are in its error."""


def run(
    command, user="", environ=None, umask=0o077, deadline_s=600, allowed=(0,), output=None, given=None, shown=" ".join,
    remarks=None, handles=(), source=None, cwd="/",
):  # fmt: skip
    """
    Run a command in a session of its own and return what it printed, as text.

    output
        an open binary file that takes what it prints instead
    given
        text for its standard input
    source
        an open binary file as its standard input instead
    cwd
        the folder it begins in, entered before it becomes the user
    allowed
        exit codes that are no failure
    shown
        makes text of the command for errors
    remarks
        a list that takes the lines of its standard error, whatever its exit code is
    handles
        open files that it has as well

    CommandExecutionError with the command, its exit code and its last lines when it fails. One that does not end within
    ``deadline_s`` is killed with all of its processes.
    """
    command = [str(word) for word in command]
    try:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE if given is not None else source or subprocess.DEVNULL,
            stdout=output or subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=environ, umask=umask, start_new_session=True,
            pass_fds=handles, **identity(user),
        )  # fmt: skip
    except OSError as error:
        raise CommandExecutionError(f"{command[0]} cannot be run: {error}") from error
    try:
        printed, errors = process.communicate(None if given is None else given.encode(), timeout=deadline_s)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself a moment ago
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise CommandExecutionError(f"{shown(command)}: no end after {deadline_s:g} s") from None
        raise
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    if remarks is not None:
        remarks += lines
    if process.returncode not in allowed:
        last = " / ".join(lines[-LAST_LINES:])
        raise CommandExecutionError(f"{shown(command)} failed ({process.returncode}): {last or 'it printed nothing'}")
    return (printed or b"").decode("utf-8", "replace")


def identity(user):
    """How to become the user, as arguments of ``subprocess.Popen``; nothing where this process is that user."""
    if not user:
        return {}
    entry = account(user)
    if entry.pw_uid == os.geteuid():
        return {}
    if os.geteuid() != 0:
        raise CommandExecutionError(f"only root can act as {user}, and this minion runs as {os.geteuid()}")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(user, entry.pw_gid)}


def account(user):
    """The user's entry; CommandExecutionError when there is none."""
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise CommandExecutionError(f"there is no user {user} here") from None


def named(user):
    """The variables that name the user."""
    return {"HOME": account(user).pw_dir, "USER": user, "LOGNAME": user} if user else {}
