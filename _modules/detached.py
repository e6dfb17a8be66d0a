"""Run a function on this server on its own: past the end of the Salt job that started it, and past a restart of the minion.

A job has an id of the caller's choice. The first start of an id runs the function; any later one tells how that went, so who
does not know whether an answer was lost just starts it again. A job has a deadline, at which it ends with all of its processes,
and its output is kept, also while it runs.

Two processes belong to a job: the *worker* calls the function, the *keeper* watches the clock. Both are known by process id
and start time, so a worker that was killed, or that a reboot ended, is told apart from one that runs.

Needs Salt and the standard library only (psutil is Salt's), so a plain module sync carries it. The jobs lie below
``saltlick_jobs_dir`` of the minion's configuration, /var/cache/saltlick/jobs by default, and are root's alone.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
import contextlib
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
import types
import urllib.parse
from pathlib import Path

import psutil
import salt.minion
import salt.utils.timed_subprocess
from salt.exceptions import CommandExecutionError, SaltException

__func_alias__ = {"list_": "list"}

JOBS = "/var/cache/saltlick/jobs"
GRACE_S = 5
"""How long a job's processes may take to end by themselves once told to."""
TAIL_BYTES = 4000
LONGEST_TEXT = 20_000
MONTH_S = 30 * 24 * 3600


def start(job, function, args=(), kwargs=None, deadline_s=900):
    """
    Start a function on its own, or tell how far it is if that id was started before. Returns at once.

    job
        id of the job: any text; the same id never runs twice
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
    folder = _folder(job)
    if function not in __salt__:
        raise CommandExecutionError(
            f"{function} is no function of this minion; saltutil.sync_modules brings Saltlick's"
        )
    call = __salt__[function]
    typed = [*args, {"__kwarg__": True, **(kwargs or {})}]
    words, named = salt.minion.load_args_and_kwargs(call, typed, {"fun": function, "jid": str(job)})
    with _turn(folder.parent) as lock:
        told = _read(folder / "job.json")
        if told and _read(folder / "worker.json"):
            if told["function"] != function:
                raise CommandExecutionError(
                    f"job {job} is one of {told['function']}, not of {function}: take another id"
                )
            return status(job)
        # Under the lock, and no worker on record: none ever called the function, and none will.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        _write(folder / "job.json", {"job": str(job), "function": function, "deadline_s": float(deadline_s)})
        _fork_away(folder, lock, lambda: call(*words, **named), float(deadline_s))
    return status(job)


def status(job):
    """
    Tell how far a job is.

    job
        id of the job

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
    folder = _folder(job)
    told, worker = _read(folder / "job.json"), _read(folder / "worker.json")
    if not told or not worker:
        return {"job": str(job), "state": "unknown"}
    ended = _read(folder / "result.json") or _unended(folder, told, worker)
    return {
        "job": str(job),
        "state": ended["state"],
        "function": told["function"],
        "value": _short(ended.get("result")),
        "error": ended.get("error", ""),
        "seconds": round(ended.get("ended", time.time()) - worker["started"], 3),
        "output_tail": _tail(folder / "output.log"),
    }


def kill(job):
    """
    End a job with all of its processes, and wait until they are gone.

    job
        id of the job

    Returns what ``detached.status`` does; a job that was over stays as it was.

    Raises:
        CommandExecutionError: it does not end.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-1' detached.kill buildout-1
    """
    folder = _folder(job)
    if status(job)["state"] != "running":
        return status(job)
    worker = _read(folder / "worker.json")
    if _alive(worker["keeper"]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker["keeper"][0], signal.SIGTERM)
    else:
        _end(worker["worker"][0])
        _conclude(folder, "killed", error="killed by detached.kill")
    give_up = time.monotonic() + 3 * GRACE_S
    while not (folder / "result.json").exists():
        if time.monotonic() > give_up:
            raise CommandExecutionError(f"job {job} has not ended {3 * GRACE_S} s after it was told to")
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
    told = [status(urllib.parse.unquote(folder.name)) for folder in _folders()]
    return [{name: one[name] for name in ("job", "state", "function", "seconds")} for one in told if "function" in one]


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
    for folder in _folders():
        job = urllib.parse.unquote(folder.name)
        with _turn(folder.parent):
            if status(job)["state"] != "running" and time.time() - _last_word(folder) >= float(older_than_s):
                shutil.rmtree(folder, ignore_errors=True)
                forgotten.append(job)
    return forgotten


# What is on record


def _folder(job):
    name = urllib.parse.quote(str(job), safe=" :+@,=")
    if not name.strip(".") or len(name) > 200:
        raise CommandExecutionError(f"{job!r} cannot be the id of a job: give some text of at most 200 characters")
    return Path(__opts__.get("saltlick_jobs_dir", JOBS)) / name


def _folders():
    base = Path(__opts__.get("saltlick_jobs_dir", JOBS))
    found = [path for path in base.iterdir() if path.is_dir()] if base.is_dir() else []
    return sorted(found, key=lambda folder: -folder.stat().st_mtime)


def _last_word(folder):
    return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))


@contextlib.contextmanager
def _turn(base):
    """One start at a time. A worker to be holds the lock too, until it is on record or dead."""
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (base / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _read(path):
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}


def _write(path, facts, first=False):
    """A file, whole or not at all; with `first`, only if nobody wrote it before."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(facts, default=str), "utf-8")
    if not first:
        fresh.replace(path)
        return
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(fresh)
    fresh.unlink()


def _conclude(folder, state, **more):
    """How the job came out; whoever says so first is right."""
    try:
        _write(folder / "result.json", {"state": state, "ended": time.time(), **more}, first=True)
    except (TypeError, ValueError):  # a key that is no text, a ring of references
        _write(
            folder / "result.json",
            {"state": state, "ended": time.time(), **more, "result": repr(more.get("result"))},
            first=True,
        )


def _unended(folder, told, worker):
    """A job without a result: it runs, or it was lost; one whose keeper died is ended here when it is late."""
    if _alive(worker["keeper"]):
        return {"state": "running"}
    if _alive(worker["worker"]):
        if time.time() < worker["started"] + told["deadline_s"]:
            return {"state": "running"}
        _end(worker["worker"][0])
        _conclude(folder, "late", error=_late(told["deadline_s"]))
    lost = "its worker was killed, or the server restarted, before it ended"
    return _read(folder / "result.json") or {"state": "lost", "error": lost, "ended": _last_word(folder)}


def _late(deadline_s):
    return f"not done after {deadline_s:g} s: ended at its deadline"


def _tail(log):
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _short(value):
    """A result without the beginning of what is too long for Salt's bus."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"[{len(value) - LONGEST_TEXT} characters left out]{value[-LONGEST_TEXT:]}"
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    return value


# Processes


def _born(pid):
    """When a process started, in a form that no other process of that number has; empty when it is gone."""
    try:
        if not sys.platform.startswith("linux"):
            process = psutil.Process(pid)
            return "" if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return (
            "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"
        )  # ticks since boot: setting the clock changes nothing
    except (OSError, psutil.Error):
        return ""


def _alive(known):
    pid, born = known
    return bool(born) and _born(pid) == born


def _end(pid):
    """End a worker, what it started, and what that started: told first, killed after a grace."""
    family = _family(pid)
    _signal(pid, family, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=GRACE_S)
    _signal(pid, {*alive, *_family(pid)}, signal.SIGKILL)


def _family(pid):
    with contextlib.suppress(psutil.Error):
        worker = psutil.Process(pid)
        return [worker, *worker.children(recursive=True)]
    return []


def _signal(pid, family, number):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _fork_away(folder, lock, call, deadline_s):
    """Start keeper and worker, in sessions of their own and children of nobody here; returns once they are on record."""
    heard, said = os.pipe()
    child = os.fork()
    if child:
        os.close(said)
        os.waitpid(child, 0)
        os.read(heard, 1)  # ends when they are on record, or dead
        os.close(heard)
        return
    try:
        os.setsid()
        if not os.fork():
            _leave_behind(folder / "output.log", keep={lock.fileno(), said})
            _keep(folder, lock, said, call, deadline_s)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _leave_behind(log, keep):
    """Let go of all that is the minion's: signals, streams, and connections, on whose end somebody may wait."""
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGCHLD,
        signal.SIGALRM,
        signal.SIGUSR1,
        signal.SIGUSR2,
    ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.chdir("/")
    os.umask(0o022)
    nothing = os.open(os.devnull, os.O_RDWR)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for number in (int(name) for name in os.listdir("/dev/fd")):  # noqa: PTH208 - names, not paths
        with contextlib.suppress(OSError):
            kind = os.fstat(number).st_mode
            if number > 2 and number not in keep and (stat.S_ISSOCK(kind) or stat.S_ISFIFO(kind)):
                # Not closed: an object of the minion would some day close whatever has that number then.
                os.dup2(nothing, number, inheritable=False)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, errors="replace", closefd=False) for number in (1, 2))


def _keep(folder, lock, said, call, deadline_s):
    """The keeper: puts the worker on record, lets it begin, and ends it when it is late."""
    go_heard, go_said = os.pipe()
    started = time.time()
    give_up = time.monotonic() + deadline_s
    worker = os.fork()
    if not worker:
        _work(folder, [lock.fileno(), said, go_said], go_heard, call)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    pids = {"keeper": [os.getpid(), _born(os.getpid())], "worker": [worker, _born(worker)]}
    _write(folder / "worker.json", {"started": started, **pids})
    os.write(go_said, b"!")
    for number in (go_heard, go_said, lock.fileno(), said):
        os.close(number)
    pause_s = 0.01
    while not _ended(folder, worker):
        if stop.is_set() or time.monotonic() > give_up:
            why = ("killed", "killed by detached.kill") if stop.is_set() else ("late", _late(deadline_s))
            _end(worker)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(worker, 0)
            _conclude(folder, why[0], error=why[1])
            return
        stop.wait(pause_s)
        pause_s = min(pause_s * 1.5, 0.25)


def _ended(folder, worker):
    """Whether the worker is over. One that said nothing was killed, and so is what it left behind."""
    pid, code = os.waitpid(worker, os.WNOHANG)
    if not pid:
        return False
    if not (folder / "result.json").exists():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker, signal.SIGKILL)
        how = f"signal {os.WTERMSIG(code)}" if os.WIFSIGNALED(code) else f"exit code {os.waitstatus_to_exitcode(code)}"
        reason = " (out of memory?)" if how == "signal 9" else ""
        _conclude(folder, "lost", error=f"its worker was ended by {how}{reason}")
    return True


def _work(folder, others, go, call):
    """The worker: calls the function once it is on record, and says how that went."""
    try:
        os.setsid()
        for number in others:
            os.close(number)
        if os.read(go, 1):
            salt.utils.timed_subprocess.subprocess = _hearing()
            _conclude(folder, **_outcome(call))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _outcome(call):
    __context__.clear()  # nothing in it survives a fork: connections, most of all
    try:
        value = call()
    except SaltException as error:
        return {"state": "failed", "error": str(error) or type(error).__name__}
    except BaseException as error:
        traceback.print_exc()
        return {"state": "failed", "error": f"{type(error).__name__}: {error}"}
    error = _complaint(value, __context__.get("retcode", 0))
    return {"state": "failed" if error else "done", "result": value, "error": error}


def _complaint(value, retcode):
    """Why a returned value is a failure; empty when it is none."""
    told = value if isinstance(value, dict) else {}
    if retcode or told.get("retcode"):
        said = (
            str(told.get("stderr") or told.get("stdout") or (value if isinstance(value, str) else ""))
            .strip()
            .splitlines()
        )
        said += _failed_states(told)
        return f"exit code {told.get('retcode') or retcode}{': ' + said[-1].strip() if said else ''}"
    if value is False or told.get("result") is False:
        return str(told.get("comment") or "it returned False")
    return ""


def _failed_states(told):
    states = [one for one in told.values() if isinstance(one, dict) and one.get("result") is False]
    return [f"{one.get('__id__', 'a state')}: {one.get('comment', '')}" for one in states[:1]]


# Output


def _hearing():
    """The module subprocess for Salt's commands: their output is in the log while they run, and outlives a killed worker."""
    module = types.ModuleType("subprocess")
    module.__dict__.update(vars(subprocess))
    module.Popen = _Heard
    return module


class _Heard(subprocess.Popen):
    """A process whose output is also said aloud."""

    _listeners = None

    def communicate(self, input=None, timeout=None):  # noqa: A002 - the name is Popen's
        """As Popen's, with all output on our own standard output as it comes."""
        if input is not None or (self.stdout is None and self.stderr is None):
            return super().communicate(input, timeout)
        if self._listeners is None:
            self._listeners = [_Listener(stream) for stream in (self.stdout, self.stderr)]
        give_up = None if timeout is None else time.monotonic() + timeout
        for listener in self._listeners:
            listener.join(None if give_up is None else max(0, give_up - time.monotonic()))
            if listener.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(None if give_up is None else max(0, give_up - time.monotonic()))
        return tuple(listener.heard() for listener in self._listeners)


class _Listener(threading.Thread):
    """Reads one stream to its end, and repeats it."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.pieces = stream, []
        self.start()

    def run(self):
        while self.stream is not None and (piece := os.read(self.stream.fileno(), 65536)):
            self.pieces.append(piece)
            os.write(1, piece)

    def heard(self):
        if self.stream is None:
            return None
        whole = b"".join(self.pieces)
        encoding = getattr(self.stream, "encoding", None)
        return whole.decode(encoding, self.stream.errors).replace("\r\n", "\n") if encoding else whole
