"""
Who is told when something turns red, and when it is green again.

The pillar of an environment names them under ``notify``. Backups, refreshes, off-hours, releases, deployments and drift tell them
by themselves; these functions try the way out and show what is on the list.

Exit codes: 0 done; 2 the pillar or an argument is wrong; 4 a message was not delivered; 1 a defect in Saltlick.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments, result
from saltlick.commands.notify import commands

__virtualname__ = "notify"


def test(name=None, *rest, **extra):  # noqa: PT028 - no test of pytest's
    """
    Send a message to each target; exit code 4 when one is not delivered, with why.

    name
        The environment.

    CLI Example:

    .. code-block:: bash

        salt-run notify.test prod
    """
    return _run(commands.test, arguments.Request, name, *rest, **extra)


def status(name=None, *rest, **extra):
    """
    What is red in an environment, since when, what to type next, and who was told or could not be.

    CLI Example:

    .. code-block:: bash

        salt-run notify.status prod
    """
    return _run(commands.status, arguments.Request, name, *rest, **extra)


def clear(name=None, *rest, what="", **extra):
    """
    Take one thing off the list of what is red: a restore that nobody repeats, for instance. Nobody is told.

    what
        As ``notify.status`` names it: ``backup database``.

    CLI Example:

    .. code-block:: bash

        salt-run notify.clear prod what="backup restore of database of prod"
    """
    return _run(commands.clear, commands.ClearRequest, name, *rest, **extra, what=what)


def _run(command, request, name, *rest, **given):
    caller = arguments.caller(globals().get("__jid__", ""), globals().get("__user__", ""))
    return result.run_command(__opts__, __context__, caller, command, request, name, *rest, **given)
