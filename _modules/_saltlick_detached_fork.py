"""Keeper and worker of a job: how they come to be, and what each does. Sibling of `detached`."""

import contextlib
import os
import signal
import stat
import sys
import threading
import time
import traceback

import salt.utils.timed_subprocess
from salt.exceptions import SaltException

try:
    import _saltlick_detached_output as _output
    import _saltlick_detached_processes as _processes
    import _saltlick_detached_records as _records
except ImportError:
    from saltlick.modules import _saltlick_detached_output as _output
    from saltlick.modules import _saltlick_detached_processes as _processes
    from saltlick.modules import _saltlick_detached_records as _records


def fork_away(folder, lock, call, context, deadline_s):
    """Start keeper and worker, in sessions of their own and children of nobody here; returns once they are on record."""
    heard, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        os.waitpid(child, 0)
        os.read(heard, 1)  # ends when they are on record, or dead
        os.close(heard)
        return
    try:
        os.setsid()
        if not os.fork():
            _leave_behind(folder / "output.log", keep={lock.fileno(), writing})
            _keep(folder, lock, writing, lambda: _outcome(call, context), deadline_s)
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


def _keep(folder, lock, writing, outcome, deadline_s):
    """The keeper: puts the worker on record, lets it begin, and ends it when it is late."""
    go_heard, go_writing = os.pipe()
    started = time.time()
    give_up = time.monotonic() + deadline_s
    worker = os.fork()
    if not worker:
        _work(folder, [lock.fileno(), writing, go_writing], go_heard, outcome)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    pids = {"keeper": [os.getpid(), _processes.born(os.getpid())], "worker": [worker, _processes.born(worker)]}
    _records.write(folder / "worker.json", {"started": started, **pids})
    os.write(go_writing, b"!")
    for number in (go_heard, go_writing, lock.fileno(), writing):
        os.close(number)
    pause_s = 0.01
    while not _ended(folder, worker):
        if stop.is_set() or time.monotonic() > give_up:
            why = ("killed", "killed by detached.kill") if stop.is_set() else ("late", _records.late(deadline_s))
            _processes.end(worker)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(worker, 0)
            _records.conclude(folder, why[0], error=why[1])
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
        _records.conclude(folder, "lost", error=f"its worker was ended by {how}{reason}")
    return True


def _work(folder, others, go, outcome):
    """The worker: calls the function once it is on record, and says how that went."""
    try:
        os.setsid()
        for number in others:
            os.close(number)
        if os.read(go, 1):
            salt.utils.timed_subprocess.subprocess = _output.hearing()
            _records.conclude(folder, **outcome())
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _outcome(call, context):
    context.clear()  # nothing in it survives a fork: connections, most of all
    try:
        value = call()
    except SaltException as error:
        return {"state": "failed", "error": str(error) or type(error).__name__}
    except BaseException as error:
        traceback.print_exc()
        return {"state": "failed", "error": f"{type(error).__name__}: {error}"}
    error = _complaint(value, context.get("retcode", 0))
    return {"state": "failed" if error else "done", "result": value, "error": error}


def _complaint(value, retcode):
    """Why a returned value is a failure; empty when it is none."""
    content = value if isinstance(value, dict) else {}
    if retcode or content.get("retcode"):
        lines = (
            str(content.get("stderr") or content.get("stdout") or (value if isinstance(value, str) else ""))
            .strip()
            .splitlines()
        )
        lines += _failed_states(content)
        return f"exit code {content.get('retcode') or retcode}{': ' + lines[-1].strip() if lines else ''}"
    if value is False or content.get("result") is False:
        return str(content.get("comment") or "it returned False")
    return ""


def _failed_states(content):
    states = [state for state in content.values() if isinstance(state, dict) and state.get("result") is False]
    return [f"{state.get('__id__', 'a state')}: {state.get('comment', '')}" for state in states[:1]]
