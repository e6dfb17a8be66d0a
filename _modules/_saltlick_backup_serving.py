"""The database that serves on this server: stopped, started, made anew from the primary. Sibling of `backup`.

Where Patroni runs it, Patroni is asked: what it does not know of, it would undo.
"""

import time
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_places as _places
    import _saltlick_backup_postgresql as _postgresql
    import _saltlick_backup_traces as _traces
    import _saltlick_patroni as _patroni
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_places as _places
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql
    from saltlick.modules import _saltlick_backup_traces as _traces
    from saltlick.modules import _saltlick_patroni as _patroni

BEGIN = "/usr/local/sbin/postgresql-begin"
ANSWERS_WITHIN_S = 120
PRIMARY_WITHIN_S = 60
COPIED_WITHIN_S = 6 * 3600
FORGOTTEN = ("initialize", "leader", "history", "status", "sync", "failsafe", "failover")
"""What etcd knows of the data that was exchanged. Source: Patroni's manual, keys below the scope; `config` stays."""


def check(facts):
    """Raises: CommandExecutionError where another member is the primary of a cluster that Patroni runs."""
    if not facts.get("patroni"):
        return
    for name, address in facts["members"].items():
        if name != facts["name"] and _postgresql.is_primary(facts, address):
            raise CommandExecutionError(f"{name} is the primary of this cluster: what is restored goes there")


def stopped(facts, optional=False):
    """Stop the database. Where Patroni runs it, automatic failover is off from here until `started`.

    Raises: CommandExecutionError, unless `optional`.
    """
    if not facts.get("patroni"):
        service("stop", facts["service"], optional=optional)
        return
    try:
        _patroni.paused(facts, True)
        _stop_postmaster(facts)
    except CommandExecutionError:
        if not optional:
            raise


def started(facts, exchanged=False):
    """Start the database; returns when it answers, and where Patroni runs it, when it is the primary.

    `exchanged`: the data is other than before, so what is known of the former data is forgotten.

    Raises: CommandExecutionError.
    """
    if not facts.get("patroni"):
        service("start", facts["service"])
        answers(facts)
        return
    data = Path(facts["data_dir"])
    if exchanged:
        _forget(facts)
        # A backup has none where they lie elsewhere.
        names = [data / name for name in ("postgresql.conf", "pg_ident.conf")]
        _commands.run(["touch", *names], user=facts["user"])
    _restarted(facts)
    _patroni.wait(facts, "/primary", ANSWERS_WITHIN_S)
    answers(facts)
    _patroni.paused(facts, False)


def _restarted(facts):
    """Ask until Patroni has done it: one that saw the data of another cluster ends, and systemd starts it again.

    Raises: CommandExecutionError.
    """
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            return _patroni.changed(facts, "/restart", {}, timeout_s=ANSWERS_WITHIN_S)
        except CommandExecutionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_patroni.ASK_AGAIN_S)


def _forget(facts):
    patroni = facts["patroni"]
    endpoints = ",".join(patroni["voices"].values())
    for key in FORGOTTEN:
        command = [patroni["etcdctl"], f"--endpoints={endpoints}", "del", f"/saltlick/{patroni['cluster']}/{key}"]
        _commands.run(command, env={"ETCDCTL_API": "3"}, deadline_s=30)


def _stop_postmaster(facts):
    """Of the data directory; nothing to do where none runs."""
    data = Path(facts["data_dir"])
    if not (data / "postmaster.pid").exists():
        return
    command = [f"{facts['bin_dir']}/pg_ctl", "stop", "-D", data, "-w", "-t", "120", "-m", "fast"]
    _commands.run(command, user=facts["user"], deadline_s=150)


def copied(facts, data, kept):
    """Make this server's data anew from the primary's. What it had is in `kept`, and serves again where no copy can be made.

    Everything is looked at when nothing runs any more: Patroni may have begun to do the same by itself, and then there is nothing
    to keep. Returns whether something was kept.

    Raises: CommandExecutionError.
    """
    service("stop", facts["service"], optional=bool(facts.get("patroni")))
    if facts.get("patroni"):  # one that found the data of another cluster has ended, and left the database running
        _stop_postmaster(facts)
    moved = False
    try:
        if data.exists():
            _places.cluster(data)
            _traces.removed(kept)
            data.rename(kept)
            moved = True
        _copy(facts)
        if not (data / "standby.signal").exists():  # the primary went away, and an empty cluster was begun
            raise CommandExecutionError("there was no primary any more")
    except (CommandExecutionError, OSError) as error:
        service("stop", facts["service"], optional=True)
        if moved:
            _traces.removed(data)
            kept.rename(data)
        service("start", facts["service"])
        left = "so what was here serves on" if moved else "and what is here was not touched"
        raise CommandExecutionError(f"no copy of the primary could be made, {left}: {error}") from error
    if not facts.get("patroni"):
        service("start", facts["service"])
    answers(facts)
    return moved


def _copy(facts):
    if not facts.get("patroni"):
        _commands.run([BEGIN], deadline_s=COPIED_WITHIN_S)
        return
    service("start", facts["service"])
    _patroni.wait(facts, "/readiness", COPIED_WITHIN_S)


def primary_elsewhere(facts):
    """Wait until another member is a primary: right after an exchange it may be coming up.

    Raises: CommandExecutionError.
    """
    deadline = time.monotonic() + PRIMARY_WITHIN_S
    while not any(_postgresql.is_primary(facts, address) for address in facts["members"].values()):
        if time.monotonic() > deadline:
            raise CommandExecutionError(
                f"no other member of this cluster is a primary within {PRIMARY_WITHIN_S} s,"
                " so there is nothing to be a standby of"
            )
        time.sleep(1)


def answers(facts):
    """Wait until the database answers. Raises: CommandExecutionError."""
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            return _postgresql.ask(facts, "select 1")
        except CommandExecutionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def service(verb, name, optional=False):
    """Source: `service`, which Debian, Red Hat and FreeBSD all have."""
    if not name:
        return
    _commands.run(["service", name, verb], deadline_s=300, allowed=tuple(range(256)) if optional else (0,))
