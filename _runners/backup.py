"""
Backups of an environment: taken, listed, verified, restored, rehearsed; and whether they are what the pillar promises.

Every function takes the name of one environment; its pillar has the jobs under ``backup`` and the places they go to under
``stores``. Backups share the environment's lock with each other and wait for nobody but jobs that change it.

Exit codes: 0 done; 2 the pillar or an argument is wrong, or something was not confirmed; 3 somebody else has the lock; 4 it
failed, or something is red; 7 refused before anything was touched; 1 a defect in Saltlick.

What is tried is kept in ``<cachedir>/saltlick/backups.sqlite`` and told as events
``saltlick/<environment>/<job>/backup/<name>/<step>``.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments, result
from saltlick.commands.backup import commands
from saltlick.commands.backup import freshness as looks
from saltlick.commands.backup import restore as restores

__virtualname__ = "backup"
__func_alias__ = {"list_": "list"}


def run(name=None, *rest, job="", mode="full", server="", primary="", lock_wait=0, **extra):
    """
    Take a backup of one job, or of all one after another, and delete what the pillar does not want kept any longer.

    name
        The environment.

    job
        Name of a job; left out: all.

    mode
        ``full``, or ``incr`` for what is new since the last backup. Where that cannot join on, it becomes a full
        one and says why.

    server
        The server that it is taken from; left out: the standby where there is one.

    primary
        The server whose data lives on, where more than one of a database is the primary. Until you say it, nothing is taken and
        nothing deleted.

    lock_wait
        Seconds to wait for another job's lock.

    CLI Example:

    .. code-block:: bash

        salt-run backup.run prod
        salt-run backup.run prod job=database mode=incr
        salt-run backup.run prod job=database server=prod-db-1 primary=prod-db-1
    """
    how = {"mode": mode, "server": server, "primary": primary}
    return _run(commands.run, commands.TakeRequest, name, *rest, **extra, **how, lock_wait=lock_wait, job=job)


def list_(name=None, *rest, job="", **extra):
    """
    Show what the stores have: newest first, with sizes, durations and the moment up to which everything is safe.

    CLI Example:

    .. code-block:: bash

        salt-run backup.list prod
        salt-run backup.list prod job=database --out=json
    """
    return _run(commands.list_, commands.BackupJobsRequest, name, *rest, **extra, job=job)


def verify(name=None, *rest, job="", backup="latest", lock_wait=0, **extra):
    """
    Fetch backups and compare every byte with their manifests.

    backup
        ``latest`` (with all that it builds on), ``all``, or an id.

    CLI Example:

    .. code-block:: bash

        salt-run backup.verify prod
        salt-run backup.verify prod job=database backup=all
    """
    return _run(
        commands.verify, commands.VerifyRequest, name, *rest, **extra, lock_wait=lock_wait, job=job, backup=backup
    )


def freshness(name=None, *rest, job="", **extra):
    """
    Tell whether every job is what the pillar promises; exit code 4 and an event per red job when not, and those that the
    pillar names under ``notify`` are told. The first line is the whole environment's, for a monitor; ``--out=json`` has
    ``fresh`` and each job.

    Red is: no good backup, one that is too old, a run that failed or was killed, suspiciously less data, a damaged or vanished
    backup, a store that cannot be seen, a drill that failed or is too old.

    CLI Example:

    .. code-block:: bash

        salt-run backup.freshness prod
    """
    return _run(looks.freshness, commands.BackupJobsRequest, name, *rest, **extra, job=job)


def restore(
    name=None, *rest, job="", to="", server="", time="", confirm="", overwrite_production="", lock_wait=0, **extra
):
    """
    Restore a job's data. It is recovered and tried beside what serves, and only then takes its place; the former data is kept
    beside.

    name
        The environment whose backup it is.

    job
        Name of the job.

    to
        Another environment; which of its servers, the job's ``drill`` says.

    server
        The server that takes it, where its database is gone and cannot be asked.

    time
        A moment, ``2026-11-23T02:00:00Z``; left out: all there is, the latest WAL fetched first.

    confirm
        The name of the environment whose data is overwritten.

    overwrite_production
        ``yes, overwrite <name>``, where that environment is marked production.

    CLI Example:

    .. code-block:: bash

        salt-run backup.restore test job=database time=2026-11-23T02:00:00Z confirm=test
        salt-run backup.restore prod job=database confirm=prod overwrite_production='yes, overwrite prod'
    """
    how = {"to": to, "server": server, "time": time, "confirm": confirm, "overwrite_production": overwrite_production}
    return _run(restores.restore, restores.RestoreRequest, name, *rest, **extra, **how, lock_wait=lock_wait, job=job)


def drill(name=None, *rest, job="", lock_wait=0, **extra):
    """
    Rehearse a restore: the latest backup beside what serves on a server of another environment, checked as the pillar says,
    removed.

    CLI Example:

    .. code-block:: bash

        salt-run backup.drill prod
        salt-run backup.drill prod job=database
    """
    return _run(restores.drill, restores.DrillRequest, name, *rest, **extra, lock_wait=lock_wait, job=job)


def _run(command, request, name, *rest, **given):
    caller = arguments.caller(globals().get("__jid__", ""), globals().get("__user__", ""))
    return result.run_command(__opts__, __context__, caller, command, request, name, *rest, **given)
