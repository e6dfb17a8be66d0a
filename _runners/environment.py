"""
Environments on AWS: what would change, change it, look at it, take it away.

Every function takes the name of an environment and compiles *its* pillar; ``plan``, ``apply``, ``drift``, ``show``,
``destroy``, ``validate``, ``servers`` and ``tiers`` also take several, comma-separated, and treat them as one estate.

Exit codes: 0 done, 2 the pillar or an argument is wrong and nothing was touched, 3 somebody else has the lock,
4 AWS refused or something failed (each resource is named), 1 a defect in Saltlick.

IAM: what ``saltlick iam-policy`` prints. ``plan``, ``drift`` and ``show`` need the ``observe`` part of it only.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments, result
from saltlick.commands import lock as locks
from saltlick.commands.environment import commands
from saltlick.commands.environment import history as job_history

__virtualname__ = "environment"


def plan(name=None, *rest, replace=None, prune=False, **extra):
    """
    Show what ``apply`` would do, and do nothing.

    name
        The environment, or several: ``control,prod``.

    replace
        Resources to make anew, by address or name: ``app-1,instance/app-2``.

    prune
        Also delete what is ours and no longer declared.

    IAM: observe actions of all kinds.

    CLI Example:

    .. code-block:: bash

        salt-run environment.plan prod
        salt-run environment.plan control,prod,test --out=json
    """
    return _run(commands.plan, commands.EnvironmentPlanRequest, name, *rest, **extra, replace=replace, prune=prune)


def apply(name=None, *rest, replace=None, prune=False, lock_wait=0, **extra):
    """
    Make AWS what the pillar says, under the environment's lock. Again = no change.

    Tells of each finished resource on stderr and as an event ``saltlick/<environment>/<job>/<action>/<address>``.

    name
        The environment, or several that are built as one: ``control,prod,test``.

    replace
        Resources to make anew, by address or name: ``app-1,instance/app-2``.

    prune
        Also delete what is ours and no longer declared.

    lock_wait
        Seconds to wait for another job's lock.

    IAM: all actions of all kinds but ``destroy``; those too for ``replace`` and ``prune``.

    CLI Example:

    .. code-block:: bash

        salt-run environment.apply prod
        salt-run environment.apply prod replace=app-1
    """
    return _run(
        commands.apply, commands.ApplyRequest, name, *rest, **extra, replace=replace, prune=prune, lock_wait=lock_wait
    )


def destroy(name=None, *rest, confirm="", keep=None, lock_wait=0, **extra):
    """
    Delete everything of the environment, in order, under its lock.

    Refuses environments marked ``production``, protected resources, and what another environment leans on.

    name
        The environment, or several: ``prod,test``.

    confirm
        The same again, typed by hand. Without it, what would be deleted is shown, and nothing is touched.

    keep
        Buckets that stay with what is in them: ``bucket/backups``. One that is not empty is refused otherwise.

    lock_wait
        Seconds to wait for another job's lock.

    IAM: observe and destroy actions of all kinds.

    CLI Example:

    .. code-block:: bash

        salt-run environment.destroy test confirm=test
        salt-run environment.destroy test confirm=test keep=bucket/backups
    """
    return _run(
        commands.destroy,
        commands.DestroyRequest,
        name,
        *rest,
        **extra,
        confirm=confirm,
        keep=keep,
        lock_wait=lock_wait,
    )


def show(name=None, *rest, **extra):
    """
    Show everything of ours in the environment, as AWS has it.

    IAM: observe actions of all kinds.

    CLI Example:

    .. code-block:: bash

        salt-run environment.show prod
    """
    return _run(commands.show, arguments.Request, name, *rest, **extra)


def drift(name=None, *rest, **extra):
    """
    Show what differs between AWS and the pillar, and what is ours there and nobody declared.

    IAM: observe actions of all kinds.

    CLI Example:

    .. code-block:: bash

        salt-run environment.drift prod
    """
    return _run(commands.drift, arguments.Request, name, *rest, **extra)


def validate(name=None, *rest, **extra):
    """
    Check the environment's pillar and its peers' without asking AWS; all problems at once, each with its path.

    CLI Example:

    .. code-block:: bash

        salt-run environment.validate prod
    """
    return _run(commands.validate, arguments.Request, name, *rest, **extra)


def servers(name=None, *rest, **extra):
    """
    List the servers that the environment's pillar declares.

    CLI Example:

    .. code-block:: bash

        salt-run environment.servers prod
    """
    return _run(commands.servers, arguments.Request, name, *rest, **extra)


def tiers(name=None, *rest, **extra):
    """
    List the names of the environment's servers tier by tier, in the order in which they are configured.

    CLI Example:

    .. code-block:: bash

        salt-run environment.tiers prod
    """
    return _run(commands.tiers, arguments.Request, name, *rest, **extra)


def lock(name=None, *rest, message="", **extra):
    """
    Lock the environment by hand: no job touches it until you unlock it, and everybody is shown the message.

    CLI Example:

    .. code-block:: bash

        salt-run environment.lock prod message="looking at the database, back at four"
    """
    return _run(locks.lock, locks.LockRequest, name, *rest, **extra, message=message)


def unlock(name=None, *rest, force=False, reason="", **extra):
    """
    Unlock the environment: your own by-hand lock, or a stale one; anybody else's with ``force=True``. It is audited.

    CLI Example:

    .. code-block:: bash

        salt-run environment.unlock prod
        salt-run environment.unlock prod force=True reason="ann's laptop died"
    """
    return _run(locks.unlock, locks.UnlockRequest, name, *rest, **extra, force=force, reason=reason)


def locked(name=None, *rest, **extra):
    """
    Show who has the environment, since when and what for.

    CLI Example:

    .. code-block:: bash

        salt-run environment.locked prod
    """
    return _run(locks.locked, arguments.Request, name, *rest, **extra)


def history(name=None, *rest, limit=20, **extra):
    """
    Show what happened in an environment, in order: deployments, releases, backups, refreshes, off-hours, locks by hand.

    Each job has its start, how long it took, who began it, and how it ended. ``died`` is a job whose process is gone and
    wrote no end.

    name
        The environment.

    limit
        How many jobs, the newest; ``0`` is all.

    CLI Example:

    .. code-block:: bash

        salt-run environment.history prod
        salt-run environment.history prod limit=100 --out=json
    """
    return _run(job_history.history, job_history.JobHistoryRequest, name, *rest, **extra, limit=limit)


def _run(command, request, name, *rest, **given):
    caller = arguments.caller(globals().get("__jid__", ""), globals().get("__user__", ""))
    return result.run_command(__opts__, __context__, caller, command, request, name, *rest, **given)
