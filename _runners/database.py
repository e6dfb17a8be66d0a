"""
The database cluster of an environment: who is the primary, and a change of that, so that nobody opens a shell.

The servers are those of the groups that have the role ``postgresql``. With the pillar key ``postgresql:failover`` Patroni runs
their databases and replaces a dead primary by itself; these commands are for what an operator wants.

Exit codes: 0 done, and as it should be; 2 the pillar or an argument is wrong, and nothing was touched; 3 somebody else has the
lock; 4 something is wrong with the cluster, or a server did not do it; 7 refused before anything was touched; 1 a defect in
Saltlick.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments, result
from saltlick.commands.database import commands

__virtualname__ = "database"


def status(name=None, *rest, **extra):
    """
    Show what every database server says of itself, and what is wrong. Exit code 4 where something is.

    CLI Example:

    .. code-block:: bash

        salt-run database.status prod
    """
    return _run(commands.status, commands.DatabaseStatusRequest, name, *rest, **extra)


def switchover(name=None, *rest, server="", within_s=60, lock_wait=0, **extra):
    """
    Make a standby the primary; the primary becomes its standby. No acknowledged write is lost. Needs failover.

    server
        The standby; may be left out where there is one.

    within_s
        How long it may take.

    lock_wait
        Seconds to wait for another job's lock.

    CLI Example:

    .. code-block:: bash

        salt-run database.switchover prod server=prod-db-2
    """
    how = {"server": server, "within_s": within_s, "lock_wait": lock_wait}
    return _run(commands.switchover, commands.DatabaseTakeoverRequest, name, *rest, **extra, **how)


def promote(name=None, *rest, server="", within_s=60, lock_wait=0, **extra):
    """
    Make a standby the primary where there is none. Refused while there is one, or may be one that cannot be seen.

    CLI Example:

    .. code-block:: bash

        salt-run database.promote prod server=prod-db-2
    """
    how = {"server": server, "within_s": within_s, "lock_wait": lock_wait}
    return _run(commands.promote, commands.DatabaseTakeoverRequest, name, *rest, **extra, **how)


def reinit(name=None, *rest, server="", lock_wait=0, **extra):
    """
    Make a server's database anew, as a copy of the primary's. What only that server has serves no more; with failover it is
    deleted.

    CLI Example:

    .. code-block:: bash

        salt-run database.reinit prod server=prod-db-1
    """
    how = {"server": server, "lock_wait": lock_wait}
    return _run(commands.reinit, commands.DatabaseServerRequest, name, *rest, **extra, **how)


def pause(name=None, *rest, lock_wait=0, **extra):
    """
    Switch automatic failover off, for work by hand. ``database.status`` is red until ``database.resume``.

    CLI Example:

    .. code-block:: bash

        salt-run database.pause prod
    """
    return _run(commands.pause, commands.DatabasePauseRequest, name, *rest, **extra, lock_wait=lock_wait)


def resume(name=None, *rest, lock_wait=0, **extra):
    """
    Switch automatic failover on again.

    CLI Example:

    .. code-block:: bash

        salt-run database.resume prod
    """
    return _run(commands.resume, commands.DatabasePauseRequest, name, *rest, **extra, lock_wait=lock_wait)


def _run(command, request, name, *rest, **given):
    caller = arguments.caller(globals().get("__jid__", ""), globals().get("__user__", ""))
    return result.run_command(__opts__, __context__, caller, command, request, name, *rest, **given)
