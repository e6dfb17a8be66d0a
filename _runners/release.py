"""
Releases without downtime: put a revision onto the servers of an environment, batch by batch, and back when anything fails.

Every function takes the name of one environment; its pillar has the recipe under ``release``. What happens is told as it
happens: a line per step on stderr, events ``saltlick/<environment>/<job>/release/<step>``, and one page per release.

Exit codes: 0 done, or nothing to do; 2 the pillar or an argument is wrong; 3 somebody else has the lock; 5 it failed, and
every server is back on what it ran before; 6 it is stuck, or was stopped at once: the lock stays; 7 refused before anything
was touched; 8 done, but servers were left out; 1 a defect in Saltlick.

Ctrl-C or SIGTERM once: what was touched goes back, the lock is given back. Twice: it stops this instant, says what is left,
and keeps the lock.

A server that says nothing is asked whether it is there; after 20 s without a word it counts as silent, which is as good as
failed. The master's configuration may have another number: ``saltlick_silent_after_s: 60``.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands import arguments, result
from saltlick.commands import lock as locks
from saltlick.commands.release import commands, controls, queries

__virtualname__ = "release"


def rolling(
    name=None,
    *rest,
    rev="",
    batch=None,
    canary=None,
    group=None,
    pause=None,
    message="",
    force="",
    test=False,
    lock_wait=0,
    **extra,
):
    """
    Put a revision onto every server of the group, with no failed request on the way.

    Anything that fails takes every touched server back to the revision that *it* had.

    name
        The environment.

    rev
        The revision: a branch, a tag or a SHA, whole or abbreviated. It is resolved once, at the start.

    batch
        Servers at once, in place of the recipe's: ``2``, ``25%`` or a growing list ``1,25%,100%``.

    canary
        Size of the first batch.

    group
        Another server group than the recipe's.

    pause
        ``none``, ``canary`` or ``every``: wait for ``release.promote`` after the first or every batch.

    message
        Why, for those who look at the lock, the history and the page.

    force
        What to override, comma-separated: ``True`` (the same revision again), ``unhealthy``, ``silent``, ``disk``, ``window``,
        ``unfinished``.

    test
        Show the batches and what each server goes from and to, and what stands against it; change nothing.

    lock_wait
        Seconds to wait for another job's lock.

    IAM: for a recipe with an ``elbv2`` balancer ``elasticloadbalancing:DescribeLoadBalancers``, ``DescribeTargetGroups``,
    ``DescribeTargetHealth``, ``RegisterTargets``, ``DeregisterTargets`` and ``ec2:DescribeInstances``; else none.

    CLI Example:

    .. code-block:: bash

        salt-run release.rolling prod rev=f5d9859
        salt-run release.rolling prod rev=v2.3 batch=1,50%,100% pause=canary message="new checkout"
        salt-run release.rolling prod rev=master test=True
    """
    how = {"batch": batch, "canary": canary, "group": group, "pause": pause, "message": message, "force": force}
    return _run(
        commands.rolling, commands.RollingRequest, name, *rest, **extra, **how, lock_wait=lock_wait, rev=rev, test=test
    )


def plan(name=None, *rest, rev="", batch=None, canary=None, group=None, pause=None, force="", **extra):
    """
    Show what ``rolling`` would do: the batches, what each server goes from and to, and what stands against it.

    Arguments as for ``rolling``.

    CLI Example:

    .. code-block:: bash

        salt-run release.plan prod rev=f5d9859
        salt-run release.plan prod rev=f5d9859 batch=50% --out=json
    """
    how = {"batch": batch, "canary": canary, "group": group, "pause": pause, "force": force}
    return _run(commands.plan, commands.ReleasePlanRequest, name, *rest, **extra, **how, rev=rev)


def rollback(name=None, *rest, to="", batch=None, message="", force="", test=False, lock_wait=0, **extra):
    """
    Go back to an earlier revision, in batches and through the same health checks as any release.

    A release that is half done (its process died, or it is stuck) goes back first: then ``to`` is not given.

    name
        The environment.

    to
        A SHA, a tag, or how many releases back. Left out: the last one that was successful and different.

    batch, message, force, test, lock_wait
        As for ``rolling``.

    CLI Example:

    .. code-block:: bash

        salt-run release.rollback prod
        salt-run release.rollback prod to=v2.2
        salt-run release.rollback prod to=2 message="the checkout loses baskets"
    """
    how = {"to": to, "batch": batch, "message": message, "force": force, "test": test}
    return _run(commands.rollback, commands.RollbackRequest, name, *rest, **extra, **how, lock_wait=lock_wait)


def resume(name=None, *rest, release="", lock_wait=0, **extra):
    """
    Take up a release whose process died, or that was stuck, from what its journal says.

    Servers that are done are looked at again, those in between walk again, ``once`` tasks are never repeated. The lock that
    the release left behind is taken over.

    name
        The environment.

    release
        Its id, where you want to be sure which it is.

    CLI Example:

    .. code-block:: bash

        salt-run release.resume prod
    """
    return _run(commands.resume, commands.ResumeRequest, name, *rest, **extra, release=release, lock_wait=lock_wait)


def pause(name=None, *rest, reason="", **extra):
    """
    Let the release that is under way wait after its present batch.

    CLI Example:

    .. code-block:: bash

        salt-run release.pause prod reason="looking at the error rate"
    """
    return _run(controls.pause, controls.PauseRequest, name, *rest, **extra, reason=reason)


def promote(name=None, *rest, reason="", **extra):
    """
    Let a release that waits (for you, or for time to pass) go on.

    CLI Example:

    .. code-block:: bash

        salt-run release.promote prod
    """
    return _run(controls.promote, controls.PauseRequest, name, *rest, **extra, reason=reason)


def abort(name=None, *rest, reason="", **extra):
    """
    Let the release that is under way take everything back.

    CLI Example:

    .. code-block:: bash

        salt-run release.abort prod reason="wrong revision"
    """
    return _run(controls.abort, controls.PauseRequest, name, *rest, **extra, reason=reason)


def skip(name=None, *rest, server="", reason="", **extra):
    """
    Let the release that is under way leave a server on what it has.

    CLI Example:

    .. code-block:: bash

        salt-run release.skip prod server=prod-app-3 reason="its disk is being looked at"
    """
    return _run(controls.skip, controls.SkipRequest, name, *rest, **extra, server=server, reason=reason)


def status(name=None, *rest, **extra):
    """
    Show what each server runs, how well it is, whether it gets requests, and who has the lock; mixed revisions are flagged.

    CLI Example:

    .. code-block:: bash

        salt-run release.status prod
        salt-run release.status prod --out=json
    """
    return _run(queries.status, arguments.Request, name, *rest, **extra)


def history(name=None, *rest, limit=20, **extra):
    """
    Show who released what, from where to where, how it came out and why.

    limit
        How many, newest first; 0 for all.

    CLI Example:

    .. code-block:: bash

        salt-run release.history prod
        salt-run release.history prod limit=0 --out=json
    """
    return _run(queries.history, queries.ReleaseHistoryRequest, name, *rest, **extra, limit=limit)


def show(name=None, *rest, steps=True, **extra):
    """
    Show one release: every step, a row per server, how it came out; its page is written anew.

    name
        An environment (its latest release) or the id of a release, as ``history`` has it.

    steps
        Whether to show every step.

    CLI Example:

    .. code-block:: bash

        salt-run release.show prod
        salt-run release.show prod-20261122T120311-f5d9859
    """
    return _run(queries.show, queries.ShowRequest, name, *rest, **extra, steps=steps)


def watch(name=None, *rest, interval_s=0.5, **extra):
    """
    Follow a release from another terminal until it is over: a bar per server on a terminal, lines otherwise.

    name
        An environment (what is under way there, else its latest release) or the id of a release.

    interval_s
        Seconds between two looks at the journal.

    CLI Example:

    .. code-block:: bash

        salt-run release.watch prod
    """
    return _run(queries.watch, queries.WatchRequest, name, *rest, **extra, interval_s=interval_s)


def lock(name=None, *rest, message="", **extra):
    """
    Lock the environment by hand: nothing is released or deployed until you unlock it, and everybody is shown the message.

    CLI Example:

    .. code-block:: bash

        salt-run release.lock prod message="sale until Sunday"
    """
    return _run(locks.lock, locks.LockRequest, name, *rest, **extra, message=message)


def unlock(name=None, *rest, force=False, reason="", **extra):
    """
    Unlock the environment: your own by-hand lock, or a stale one; anybody else's with ``force=True``. It is audited.

    CLI Example:

    .. code-block:: bash

        salt-run release.unlock prod
        salt-run release.unlock prod force=True reason="put right by hand"
    """
    return _run(locks.unlock, locks.UnlockRequest, name, *rest, **extra, force=force, reason=reason)


def _run(command, request, name, *rest, **given):
    caller = arguments.caller(globals().get("__jid__", ""), globals().get("__user__", ""))
    return result.run_command(__opts__, __context__, caller, command, request, name, *rest, **given)
