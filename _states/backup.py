"""
Whether backups are what the pillar promises, as a state: for orchestrations and schedules that are to go red.

.. code-block:: yaml

    backups:
      backup.freshness:
        - name: {{ opts.pillarenv }}

It never raises: an error is a failed state that says it.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments
from saltlick.commands.backup import states

__virtualname__ = "backup"


def freshness(name, job=""):
    """
    Fail unless every job has a good backup that is recent enough, and nothing else is wrong with it.

    name
        The environment.

    job
        Name of a job; left out: all.

    .. code-block:: yaml

        prod:
          backup.freshness: []
    """
    return states.fresh(__opts__, name, _caller(), job=job)


def taken(name, job="", mode="full"):
    """
    Take backups, as ``salt-run backup.run`` does; the ids are the changes.

    name
        The environment.

    job
        Name of a job; left out: all.

    mode
        ``full`` or ``incr``.

    .. code-block:: yaml

        prod:
          backup.taken:
            - job: database
    """
    return states.taken(__opts__, name, _caller(), job=job, mode=mode)


def _caller():
    own = globals()
    return arguments.caller(own.get("__orchestration_jid__") or own.get("__jid__") or "")
