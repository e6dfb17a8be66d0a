"""Commands of the tools that make backups: run as their user, ended with all of their processes, secrets kept out.

Sibling of `backup`.
"""

import contextlib
import os
import pwd
import signal
import subprocess

from salt.exceptions import CommandExecutionError

LAST_WORDS = 5


def run(command, user="", env=None, deadline_s=3600, output=None, allowed=(0,)):
    """
    What a command prints, as text; with ``output`` (an open binary file) that takes it instead.

    CommandExecutionError with the command, its exit code and its last words when it fails, and when it does not end in time.
    """
    command = [str(word) for word in command]
    try:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output or subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
            env=_environment(user, env), umask=0o077, start_new_session=True, **_identity(user),
        )  # fmt: skip
    except OSError as error:
        raise CommandExecutionError(f"{command[0]} cannot be run: {error}") from error
    try:
        printed, errors = process.communicate(timeout=deadline_s)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise CommandExecutionError(f"{' '.join(command[:4])} …: no end after {deadline_s:g} s") from None
        raise
    if process.returncode not in allowed:
        said = " / ".join(errors.decode("utf-8", "replace").strip().splitlines()[-LAST_WORDS:])
        raise CommandExecutionError(f"{' '.join(command)} failed ({process.returncode}): {said or 'said nothing'}")
    return (printed or b"").decode("utf-8", "replace")


def _identity(user):
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


def _environment(user, more):
    """Nothing of the minion's own settings leads a database tool or a store astray."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "RSYNC", "RCLONE", "AWS_"))}
    if user:
        kept |= {"HOME": account(user).pw_dir, "USER": user, "LOGNAME": user}
    return {**kept, "LC_ALL": "C", **(more or {})}
