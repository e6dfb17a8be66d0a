"""
Off-hours as a state: for orchestrations, which name the one environment that they are about.

.. code-block:: yaml

    nights:
      offhours.as_scheduled:
        - name: {{ opts.pillarenv }}
        - failhard: True

``test=True`` says what would be done. It never raises: an error is a failed state that says it.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments
from saltlick.commands.offhours import states

__virtualname__ = "offhours"


def as_scheduled(name, lock_wait=0):
    """
    Make the environment what its hours say, where that was not done yet.

    name
        The environment; it has to be the run's ``pillarenv``.

    lock_wait
        Seconds to wait for another job's lock.

    IAM: as ``offhours.run``.

    .. code-block:: yaml

        nights:
          offhours.as_scheduled:
            - name: test
    """
    return states.as_scheduled(__opts__, name, _caller(), lock_wait=lock_wait)


def _caller():
    own = globals()
    return arguments.caller(own.get("__orchestration_jid__") or own.get("__jid__") or "")
