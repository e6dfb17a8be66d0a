"""
A release as a state: for orchestrations, which name the one environment that they are about.

.. code-block:: yaml

    release:
      release.rolled:
        - name: {{ opts.pillarenv }}
        - failhard: True

What to release comes with the run, beside the recipe: ``pillar='{"release": {"rev": "f5d9859"}}'``. ``test=True`` gives the
plan. It never raises: an error is a failed state that says it.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments
from saltlick.commands.release import states as releases

__virtualname__ = "release"


def rolled(name):
    """
    Put the revision that the run's pillar names onto every server, batch by batch; on failure take everything back.

    Arguments under ``release`` in the run's pillar: those of ``release.rolling`` (``rev``, ``batch``, ``canary``, ``group``,
    ``pause``, ``message``, ``force``, ``lock_wait``).

    name
        The environment; it has to be the run's ``pillarenv``.

    IAM: as ``release.rolling``.

    .. code-block:: yaml

        release:
          release.rolled:
            - name: prod
    """
    return releases.rolled(__opts__, __pillar__, name, _caller())


def _caller():
    own = globals()
    return arguments.caller(own.get("__orchestration_jid__") or own.get("__jid__") or "")
