"""Commands that run as the application's user. Sibling of `revision`."""

import os
import pwd
import re
import signal
import subprocess

from salt.exceptions import CommandExecutionError

DEADLINE_S = 600


def run(command, user, allowed=(0,), given=""):
    """What a command prints, run as the user; CommandExecutionError with its last words when it fails or does not end."""
    try:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            cwd="/", env=_environment(user), umask=0o022, start_new_session=True, **_identity(user),
        )  # fmt: skip
    except OSError as error:
        raise CommandExecutionError(f"{command[0]} cannot be run: {error}") from error
    try:
        output, errors = process.communicate(given, timeout=DEADLINE_S)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise CommandExecutionError(f"{_shown(command)}: no end after {DEADLINE_S} s") from None
        raise
    if process.returncode not in allowed:
        said = bare(" / ".join(errors.strip().splitlines()[-5:]))
        raise CommandExecutionError(f"{_shown(command)} failed ({process.returncode}): {said or 'said nothing'}")
    return output


def _shown(command):
    """A command for people: without where it runs and how it is configured."""
    words, skipping = [], False
    for word in command:
        if not skipping and word not in ("-c", "-C"):
            words.append(word)
        skipping = word in ("-c", "-C")
    return bare(" ".join(words))


def bare(text):
    """Addresses without the credentials in them."""
    return re.sub(r"://[^/@\s]*@", "://", str(text))


def _identity(user):
    """How to become the user; nothing to do when that is who we are."""
    if not user:
        return {}
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise CommandExecutionError(f"there is no user {user} here") from None
    if entry.pw_uid == os.geteuid():
        return {}
    if os.geteuid() != 0:
        raise CommandExecutionError(f"only root can act as {user}, and this minion runs as {os.geteuid()}")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(user, entry.pw_gid)}


def _environment(user):
    """The minion's environment, in which git asks nobody anything and looks at nothing of another repository."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith("GIT_SSL_")
    }
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes", "LC_ALL": "C"}
    if not user:
        return {**kept, **quiet}
    entry = pwd.getpwnam(user)
    return {**kept, **quiet, "HOME": entry.pw_dir, "USER": user, "LOGNAME": user}


def give(path, user):
    """Let a file or folder be the user's."""
    identity = _identity(user)
    if identity:
        os.chown(path, identity["user"], identity["group"], follow_symlinks=False)
