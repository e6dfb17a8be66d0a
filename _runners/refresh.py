"""
One environment's data for another: restored beside what serves, masked and proved there, and only then exchanged.

The pillar of the environment that gets the data says under ``refresh`` what is done to it. An environment that is production
never gets any, whatever the arguments, the pillar or the tags say: its pillar, the pillars of all others, AWS and the servers
themselves are asked, and one objection is enough.

Exit codes: 0 done; 2 refused, or the pillar or an argument is wrong, and nothing was touched; 3 somebody else has the lock; 4
it failed, and the message says whether the data is the former or the new; 7 refused before anything was touched; 1 a defect in
Saltlick.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments, result
from saltlick.commands.refresh import commands

__virtualname__ = "refresh"


def run(name=None, *rest, source="", target="", test=False, lock_wait=0, **extra):
    """
    Give the target the source's data. One that was interrupted is finished by the next run.

    source
        The environment whose data it is, ``prod``; the target's pillar has to name it too.

    target
        The environment that gets it, ``test``.

    test
        Ask everybody whether it may be, and do nothing.

    lock_wait
        Seconds to wait for another job's lock.

    IAM: ``ec2:DescribeInstances``, ``ec2:DescribeVpcs``.

    CLI Example:

    .. code-block:: bash

        salt-run refresh.run source=prod target=test
        salt-run refresh.run source=prod target=test test=True
    """
    how = {"source": source, "target": target, "test": test, "lock_wait": lock_wait}
    return _run(commands.run, commands.RefreshRunRequest, name, *rest, **extra, **how)


def history(name=None, *rest, limit=20, **extra):
    """
    Show the refreshes of a target, newest first.

    CLI Example:

    .. code-block:: bash

        salt-run refresh.history test
    """
    return _run(commands.history, commands.RefreshHistoryRequest, name, *rest, **extra, limit=limit)


def _run(command, request, name, *rest, **given):
    caller = arguments.caller(globals().get("__jid__", ""), globals().get("__user__", ""))
    return result.run_command(__opts__, __context__, caller, command, request, name, *rest, **given)
