"""Run a function on this server on its own: past the end of the Salt job that started it, and past a restart of the minion.

A job has an id of the caller's choice. The first start of an id runs the function; any later one tells how that went, so who
does not know whether an answer was lost just starts it again. A job has a deadline, at which it ends with all of its processes,
and its output is kept, also while it runs.

Two processes belong to a job: the *worker* calls the function, the *keeper* watches the clock. Both are known by process id
and start time, so a worker that was killed, or that a reboot ended, is told apart from one that runs.

In every function `job` is the id of the job: any text of at most 200 characters; the same id never runs twice.

Needs Salt and the standard library only (psutil is Salt's), so a plain module sync carries it, with the helpers that lie beside
it. The jobs lie below ``saltlick_jobs_dir`` of the minion's configuration, /var/cache/saltlick/jobs by default, and are root's
alone.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
import contextlib
import os
import shutil
import signal
import sys
import time
import urllib.parse
from pathlib import Path

import salt.minion
from salt.exceptions import CommandExecutionError

# Loaded anew after a sync, in a process that lives on, this file would get the helpers of before: Python keeps them by name.
for _helper in [name for name in sys.modules if name.startswith("_saltlick_detached_")]:
    sys.modules.pop(_helper, None)
try:  # Beside this file first, as Salt's loader has it: an installed wheel may be another version.
    import _saltlick_detached_fork as _fork
    import _saltlick_detached_processes as _processes
    import _saltlick_detached_records as _records
except ImportError:
    from saltlick.modules import _saltlick_detached_fork as _fork
    from saltlick.modules import _saltlick_detached_processes as _processes
    from saltlick.modules import _saltlick_detached_records as _records

__func_alias__ = {"list_": "list"}

JOBS = "/var/cache/saltlick/jobs"
MONTH_S = 30 * 24 * 3600


def start(job, function, args=(), kwargs=None, deadline_s=900):
    """
    Start a function on its own, or tell how far it is if that id was started before. Returns at once.

    function
        execution function, as ``cmd.run_all``; it gets its arguments as if typed after ``salt <server>``
    args
        list of its arguments
    kwargs
        its named arguments
    deadline_s
        how long it may take; then all of its processes are ended and its state is ``late``

    Returns what ``detached.status`` does.

    Raises:
        CommandExecutionError: no such function, or the id is that of another function's job.
        SaltInvocationError: the function does not take these arguments.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' detached.start buildout-1 cmd.run_all args='["bin/buildout"]' kwargs='{cwd: /srv/app}'
    """
    folder = _records.folder(_base(), job)
    if function not in __salt__:
        raise CommandExecutionError(
            f"{function} is no function of this minion; saltutil.sync_modules brings Saltlick's"
        )
    call = __salt__[function]
    typed = [*args, {"__kwarg__": True, **(kwargs or {})}]
    words, named = salt.minion.load_args_and_kwargs(call, typed, {"fun": function, "jid": str(job)})
    with _records.turn(folder.parent) as lock:
        job_record = _records.read(folder / "job.json")
        if job_record and _records.read(folder / "worker.json"):
            if job_record["function"] != function:
                raise CommandExecutionError(
                    f"job {job} is one of {job_record['function']}, not of {function}: take another id"
                )
            return status(job)
        # Under the lock, and no worker on record: none ever called the function, and none will.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        _records.write(folder / "job.json", {"job": str(job), "function": function, "deadline_s": float(deadline_s)})
        _fork.fork_away(folder, lock, lambda: call(*words, **named), __context__, float(deadline_s))
    return status(job)


def status(job):
    """
    Tell how far a job is.

    Returns ``{"job": "…", "state": "done", "function": "cmd.run_all", "value": …, "error": "", "seconds": 12.1,
    "output_tail": "…"}``. States: ``unknown`` (nothing was ever begun under this id), ``running``, ``done``, ``failed`` (an
    exception, an exit code, False), ``late`` (ended at its deadline), ``killed`` (by ``detached.kill``), ``lost`` (its worker
    was killed, or the server restarted).
    Long texts in a value are cut at their beginning; the whole is on the server.
    It is not called ``result``: a minion takes what has a ``result`` that is empty for a failure, with exit code 1.

    Raises:
        CommandExecutionError: the id cannot be one.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' detached.status buildout-1
    """
    folder = _records.folder(_base(), job)
    job_record, worker = _records.read(folder / "job.json"), _records.read(folder / "worker.json")
    if not job_record or not worker:
        return {"job": str(job), "state": "unknown"}
    ended = _records.read(folder / "result.json") or _records.unended(folder, job_record, worker)
    return {
        "job": str(job),
        "state": ended["state"],
        "function": job_record["function"],
        "value": _records.short(ended.get("result")),
        "error": ended.get("error", ""),
        "seconds": round(ended.get("ended", time.time()) - worker["started"], 3),
        "output_tail": _records.tail(folder / "output.log"),
    }


def kill(job):
    """
    End a job with all of its processes, and wait until they are gone.

    Returns what ``detached.status`` does; a job that was over stays as it was.

    Raises:
        CommandExecutionError: it does not end.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-1' detached.kill buildout-1
    """
    folder = _records.folder(_base(), job)
    if status(job)["state"] != "running":
        return status(job)
    worker = _records.read(folder / "worker.json")
    if _processes.alive(worker["keeper"]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker["keeper"][0], signal.SIGTERM)
    else:
        _processes.end(worker["worker"][0])
        _records.conclude(folder, "killed", error="killed by detached.kill")
    give_up = time.monotonic() + 3 * _processes.GRACE_S
    while not (folder / "result.json").exists():
        if time.monotonic() > give_up:
            raise CommandExecutionError(f"job {job} has not ended {3 * _processes.GRACE_S} s after it was told to")
        time.sleep(0.05)
    return status(job)


def list_():
    """
    List the jobs on this server, the latest first.

    Returns a list of ``{"job": "…", "state": "done", "function": "cmd.run_all", "seconds": 12.1}``.

    Raises:
        OSError: the jobs' folder cannot be read.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' detached.list
    """
    known = [status(urllib.parse.unquote(folder.name)) for folder in _records.folders(_base())]
    return [
        {name: job_record[name] for name in ("job", "state", "function", "seconds")}
        for job_record in known
        if "function" in job_record
    ]


def forget(older_than_s=MONTH_S):
    """
    Remove what is known of jobs that ended long ago; their ids may be used again. Jobs that run stay.

    older_than_s
        how long ago they must have ended

    Returns the list of their ids.

    Raises:
        OSError: they cannot be removed.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' detached.forget older_than_s=86400
    """
    forgotten = []
    for folder in _records.folders(_base()):
        job = urllib.parse.unquote(folder.name)
        with _records.turn(folder.parent):
            if status(job)["state"] != "running" and time.time() - _records.last_word(folder) >= float(older_than_s):
                shutil.rmtree(folder, ignore_errors=True)
                forgotten.append(job)
    return forgotten


def _base():
    return Path(__opts__.get("saltlick_jobs_dir", JOBS))
