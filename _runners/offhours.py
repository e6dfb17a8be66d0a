"""
Nights and weekends off: an environment stops in order, and is back in time.

The hours are in the pillar under ``offhours``. Cloud Custodian stops and starts what AWS has; around it servers leave traffic,
the application is stopped first and the databases last, and the way back waits until each is well.

An environment that is marked ``production: true`` is refused, whatever pillar, tags or arguments say.

Exit codes: 0 done or nothing to do, 2 the pillar or the arguments are wrong (production too) and nothing was touched, 3 locked by
another job and skipped for now, 4 something could not be switched (the next run goes on from there), 7 Cloud Custodian or the
master is missing and nothing was touched.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments, result
from saltlick.commands.offhours import commands

__virtualname__ = "offhours"


def run(name=None, *rest, test=False, lock_wait=0, **extra):
    """
    Make the environment what its hours say, where that was not done yet. This is what a schedule calls, every ten minutes.

    Each change is made once: who starts a server by hand in the evening keeps it until the next one. A change that was missed
    (no master, a lock, a failure) is caught up; of several only the last one.

    name
        The environment.

    test
        Say what would be done to what; change nothing.

    lock_wait
        Seconds to wait for another job's lock. Without, a locked environment is skipped, and the holder named.

    IAM: ``ec2:StartInstances``, ``ec2:StopInstances``, ``ec2:DescribeInstances``, ``ec2:DescribeVpcs``; for RDS
    ``rds:StartDBInstance``, ``rds:StopDBInstance``, ``rds:DescribeDBInstances``; for Auto Scaling groups
    ``autoscaling:SuspendProcesses``, ``autoscaling:ResumeProcesses``, ``autoscaling:DescribeAutoScalingGroups`` and
    ``ec2:DescribeSubnets``; those of ``release.rolling`` for a balancer of AWS's.

    CLI Example:

    .. code-block:: bash

        salt-run offhours.run test
        salt-run offhours.run test test=True
    """
    return _run(commands.run, commands.SwitchRequest, name, *rest, **extra, lock_wait=lock_wait, test=test)


def stop(name=None, *rest, test=False, lock_wait=0, **extra):
    """
    Off now, in order, whatever the hour; its hours bring it back. Ends what ``keep_on`` said.

    name, test, lock_wait
        As for ``run``.

    IAM: as ``run``.

    CLI Example:

    .. code-block:: bash

        salt-run offhours.stop test
        salt-run offhours.stop test test=True
    """
    return _run(commands.stop, commands.SwitchRequest, name, *rest, **extra, lock_wait=lock_wait, test=test)


def start(name=None, *rest, test=False, lock_wait=0, **extra):
    """
    On now, in order and until all is well, whatever the hour; its hours switch it off again.

    name, test, lock_wait
        As for ``run``.

    IAM: as ``run``.

    CLI Example:

    .. code-block:: bash

        salt-run offhours.start test
    """
    return _run(commands.start, commands.SwitchRequest, name, *rest, **extra, lock_wait=lock_wait, test=test)


def keep_on(name=None, *rest, until="", reason="", **extra):
    """
    Do not switch it off before then. It ends by itself: the next ``run`` after it switches off what should be off by then.

    name
        The environment.

    until
        ``22:00`` (in the environment's time zone, the next one there is), ``2026-11-27T22:00``, or ``none`` to take it back.

    reason
        Why, for those who wonder.

    CLI Example:

    .. code-block:: bash

        salt-run offhours.keep_on test until=22:00 reason="demo for the board"
        salt-run offhours.keep_on test until=2026-11-29T12:00
        salt-run offhours.keep_on test until=none
    """
    return _run(commands.keep_on, commands.KeepOnRequest, name, *rest, **extra, until=until, reason=reason)


def status(name=None, *rest, **extra):
    """
    Show what is due, what comes next, who keeps it on, how the last change came out, and how everything stands in AWS.

    IAM: what ``run`` needs to look.

    CLI Example:

    .. code-block:: bash

        salt-run offhours.status test
        salt-run offhours.status test --out=json
    """
    return _run(commands.status, arguments.Request, name, *rest, **extra)


def policies(name=None, *rest, **extra):
    """
    Print the environment's policies for Cloud Custodian, hours and guards in them.

    CLI Example:

    .. code-block:: bash

        salt-run offhours.policies test > custodian/test.yml
    """
    return _run(commands.policies, arguments.Request, name, *rest, **extra)


def validate(name=None, *rest, **extra):
    """
    Check the pillar, and have Cloud Custodian check the policies that are made of it. Asks AWS nothing.

    CLI Example:

    .. code-block:: bash

        salt-run offhours.validate test
    """
    return _run(commands.validate, arguments.Request, name, *rest, **extra)


def _run(command, request, name, *rest, **given):
    caller = arguments.caller(globals().get("__jid__", ""), globals().get("__user__", ""))
    return result.run_command(__opts__, __context__, caller, command, request, name, *rest, **given)
