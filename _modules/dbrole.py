"""Tell which of the servers of a database this one is: the primary, a standby, or down. Asked each time, never remembered.

There are two who can be asked. PostgreSQL itself knows for certain. keepalived knows for whatever it was told to watch over: its
state file holds one word, as the `keepalived` formula has it written.

Needs Salt and the standard library only, so a plain module sync carries it.
"""

import json
import os
import pwd
import subprocess
from pathlib import Path

from salt.exceptions import CommandExecutionError, SaltInvocationError

FACTS = "/etc/saltlick/postgresql.json"
STATE_FILES = ("/run/keepalived.state", "/var/run/keepalived.state")
PRIMARY, STANDBY, DOWN = "primary", "standby", "down"
WORDS = {"MASTER": PRIMARY, "BACKUP": STANDBY}


def get(by=None, timeout_s=10, facts=FACTS, state_file=None):
    """
    Tell this server's role.

    by
        who is asked: ``postgresql`` or ``keepalived``; left out, PostgreSQL where its formula was applied, else keepalived
    timeout_s
        how long PostgreSQL may take to answer; who does not answer is down
    facts
        where the `postgresql` formula wrote how to reach it
    state_file
        where the `keepalived` formula has the word written; left out, ``/run/keepalived.state``, or that in ``/var/run``

    Returns ``{"role": "primary", "by": "postgresql", "seen": "pg_is_in_recovery() is f"}``; roles are ``primary``,
    ``standby`` and ``down``, and `seen` says what that was concluded from.

    Raises:
        CommandExecutionError: neither formula was applied here, or what it wrote is not what it writes.
        SaltInvocationError: there is no such `by`.

    CLI Example:

    .. code-block:: bash

        salt 'prod-db-*' dbrole.get
        salt 'prod-db-*' dbrole.get by=keepalived
    """
    if by is None:
        by = "postgresql" if Path(facts).exists() else "keepalived"
    if by == "postgresql":
        role, seen = _postgresql(_read(facts), float(timeout_s))
    elif by == "keepalived":
        role, seen = _keepalived([Path(state_file)] if state_file else [Path(path) for path in STATE_FILES])
    else:
        raise SaltInvocationError(f"by is {by!r}, and can be postgresql or keepalived")
    return {"role": role, "by": by, "seen": seen}


def _read(path):
    """How PostgreSQL is reached."""
    try:
        facts = json.loads(Path(path).read_text(encoding="utf-8"))
        return {name: facts[name] for name in ("user", "bin_dir", "socket_dir", "port")}
    except FileNotFoundError as error:
        raise CommandExecutionError(f"{path} is missing: the postgresql formula was not applied here") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandExecutionError(
            f"{path} is not what the postgresql formula writes: {type(error).__name__} {error}"
        ) from error


def _postgresql(facts, timeout_s):
    """(role, seen) as the database says."""
    command = [
        f"{facts['bin_dir']}/psql", "-XAtqw", "-h", facts["socket_dir"], "-p", str(facts["port"]), "-d", "postgres",
        "-c", "select pg_is_in_recovery()",
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - what it runs is the formula's
            command, capture_output=True, text=True, timeout=timeout_s, cwd="/", check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "PGCONNECT_TIMEOUT": str(max(2, int(timeout_s)))}, **_as_user(facts["user"]),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return DOWN, f"no answer in {timeout_s:g} s"
    except OSError as error:
        return DOWN, f"{command[0]}: {error.strerror}"
    answer = done.stdout.strip()
    if done.returncode == 0 and answer in ("t", "f"):
        return STANDBY if answer == "t" else PRIMARY, f"pg_is_in_recovery() is {answer}"
    return DOWN, " ".join((done.stderr or done.stdout).split())[:300] or f"psql ended with {done.returncode}"


def _as_user(name):
    """What makes subprocess run as that user, where that is another."""
    who = pwd.getpwnam(name)
    if who.pw_uid == os.geteuid():
        return {}
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": os.getgrouplist(name, who.pw_gid)}


def _keepalived(paths):
    """(role, seen) as the first state file that is there says."""
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise CommandExecutionError(f"{paths[0]} is missing: the keepalived formula was not applied here")
    word = path.read_text(encoding="utf-8").strip()
    return WORDS.get(word, DOWN), f"{path} says {word[:50]!r}"
