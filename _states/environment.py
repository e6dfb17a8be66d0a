"""
Environments on AWS as states: for orchestrations, which name the one environment that they are about.

.. code-block:: yaml

    lock:
      environment.locked:
        - name: {{ opts.pillarenv }}
        - reason: deploy-environment

    network-and-servers:
      environment.present:
        - name: {{ opts.pillarenv }}
        - failhard: True

``test=True`` gives the plan. The pillar that counts is compiled anew for that environment; a run with another
``pillarenv`` than the environment's name is refused. States here never raise: an error is a failed state that says it.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments
from saltlick.commands.environment import admission, configure, schedule, states
from saltlick.commands.environment import reachable as reachability

__virtualname__ = "environment"


def present(name, replace=None, prune=False, lock_wait=0):
    """
    Make AWS what the environment's pillar says.

    name
        The environment; it has to be the run's ``pillarenv``.

    replace
        Resources to make anew, by address or name (a list, or comma-separated).

    prune
        Also delete what is ours and no longer declared.

    lock_wait
        Seconds to wait for another job's lock.

    IAM: all actions of all kinds but ``destroy``; those too for ``replace`` and ``prune``.

    .. code-block:: yaml

        prod:
          environment.present:
            - replace: [app-1]
    """
    return states.present(__opts__, name, _caller(), replace=replace, prune=prune, lock_wait=lock_wait)


def absent(name, confirm, keep=None, lock_wait=0):
    """
    Delete everything of the environment, in order. Production and protected resources are refused.

    name
        The environment; it has to be the run's ``pillarenv``.

    confirm
        The environment's name once more.

    keep
        Buckets that stay with what is in them: ``bucket/backups``. One that is not empty is refused otherwise.

    IAM: observe and destroy actions of all kinds.

    .. code-block:: yaml

        test:
          environment.absent:
            - confirm: {{ pillar.confirm }}
    """
    return states.absent(__opts__, name, _caller(), confirm=confirm, keep=keep, lock_wait=lock_wait)


def admitted(name, deadline_s=None):
    """
    Accept the keys of the environment's servers, and wait until each of them answers.

    A key is accepted when the console of the one running instance of that name shows its fingerprint. Keys of servers
    that are gone are forgotten; every other key stays where it is and is reported. A server that is not in within the
    deadline fails the state by name, with its last console lines.

    name
        The environment; it has to be the run's ``pillarenv``.

    deadline_s
        Seconds for all of them together; the pillar's ``deadlines.ready_s`` when left out.

    IAM: ec2:DescribeInstances, ec2:GetConsoleOutput.

    .. code-block:: yaml

        prod:
          environment.admitted:
            - deadline_s: 900
    """
    return admission.admitted(__opts__, name, caller=_caller(), deadline_s=deadline_s)


def synced(name, servers):
    """
    Give servers the modules that the master's file server has for them.

    What a server got is its change; one that does not answer fails the state by name.

    name
        The environment; it has to be the run's ``pillarenv``.

    servers
        Minion ids; every one of them has to answer.

    .. code-block:: yaml

        prod:
          environment.synced:
            - servers: [prod-app-1, prod-app-2]
    """
    return configure.synced(__opts__, name, servers=servers)


def configured(name, servers, deadline_s=None):
    """
    Run the highstate on the servers of a tier, and wait for each of them.

    One that fails, falls silent or is not done within the deadline fails the state by name. What runs on a server when
    the deadline passes is left to its end there: the next highstate takes its turn behind it.

    name
        The environment; it has to be the run's ``pillarenv``.

    servers
        Minion ids; every one of them has to answer.

    deadline_s
        Seconds for all of them together; the pillar's ``deadlines.highstate_s`` when left out.

    .. code-block:: yaml

        prod:
          environment.configured:
            - servers: [prod-db-1, prod-db-2]
    """
    return configure.configured(__opts__, name, servers=servers, caller=_caller(), deadline_s=deadline_s)


def reachable(name, url=None, deadline_s=None):
    """
    Wait until the load balancers find every server behind them healthy, then look at the page through each public one,
    until it is well several times in a row.

    Well is an answer of 2xx or 3xx. The comment names each answer's server and revision, where the page tells them.

    name
        The environment; it has to be the run's ``pillarenv``.

    url
        Another address to ask in place of the balancers and their pages.

    deadline_s
        Seconds for each page; the pillar's ``deadlines.smoke_s`` when left out.

    IAM: the observe actions of load_balancer, target_group and target_registration, ec2:DescribeInstances.

    .. code-block:: yaml

        prod:
          environment.reachable:
            - deadline_s: 60
    """
    return reachability.reachable(__opts__, name, caller=_caller(), url=url, deadline_s=deadline_s)


def locked(name, reason, lock_wait=0):
    """
    Hold the environment's lock from here to the end of the run, however it ends.

    Jobs of this same run join it. A stale lock is taken over, and the comment says so.

    .. code-block:: yaml

        prod:
          environment.locked:
            - reason: deploy-environment
            - lock_wait: 600
    """
    return states.locked(__opts__, name, _caller(), reason=reason, lock_wait=lock_wait)


def scheduled(name):
    """
    Install what the environment's pillar wants done by itself (backups, drills) in the scheduler of the master's own minion.

    What was installed for this environment and is not wanted any more is taken out.

    .. code-block:: yaml

        prod:
          environment.scheduled: []
    """
    return schedule.scheduled(__opts__, name)


def unlocked(name):
    """
    Give back the lock that this run took with ``environment.locked``.

    .. code-block:: yaml

        prod:
          environment.unlocked: []
    """
    return states.unlocked(__opts__, name, _caller())


def _caller():
    own = globals()
    return arguments.caller(own.get("__orchestration_jid__") or own.get("__jid__") or "")
