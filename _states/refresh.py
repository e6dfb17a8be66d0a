"""
One environment's data in another, as a state: for orchestrations, which name the environment that gets it.

.. code-block:: yaml

    data:
      refresh.refreshed:
        - name: {{ opts.pillarenv }}
        - source: prod

It never raises: an error is a failed state that says it.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments
from saltlick.commands.refresh import states as refreshes

__virtualname__ = "refresh"


def refreshed(name, source, lock_wait=0):
    """
    Give an environment another's data, as ``salt-run refresh.run`` does; an environment that is production never gets any.

    name
        The environment that gets it; it has to be the run's ``pillarenv``.

    source
        The environment whose data it is.

    lock_wait
        Seconds to wait for another job's lock.

    IAM: ``ec2:DescribeInstances``, ``ec2:DescribeVpcs``.

    .. code-block:: yaml

        test:
          refresh.refreshed:
            - source: prod
    """
    return refreshes.refreshed(__opts__, name, _caller(), source=source, lock_wait=lock_wait)


def _caller():
    own = globals()
    return arguments.caller(own.get("__orchestration_jid__") or own.get("__jid__") or "")
