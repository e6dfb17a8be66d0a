"""The execution module `detached`, loaded by Salt's own loader: real forks, killed and late ones too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from support import minion_modules

PATIENCE_S = 30
STEPS = '''
"""Functions to run."""
import os, subprocess, sys, time

def value(*args, **kwargs):
    return {"args": list(args), "named": {k: v for k, v in kwargs.items() if k[0] != "_"}, "pid": os.getpid()}

def append(path, pause_s=0):
    with open(path, "a") as file:
        file.write("ran\\n")
    time.sleep(pause_s)
    return True

def fail():
    print("on the way")
    raise RuntimeError("no wheels")

def returned(value):
    return value

def retcode(code):
    __context__["retcode"] = code
    return "all text\\nlast words"

def leave():
    sys.exit(3)

def family(path):
    """Processes that stay, one of them deaf to SIGTERM."""
    deaf = subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])
    meek = subprocess.Popen(["sleep", "600"])
    with open(path, "w") as file:
        file.write(f"{os.getpid()} {deaf.pid} {meek.pid}")
    print("started a family", flush=True)
    time.sleep(600)

def odd():
    return {("a", "b"): object()}

def streams():
    return [os.readlink("/proc/self/fd/%d" % n) for n in (0, 1, 2)], os.getsid(0) == os.getpid(), os.getcwd()
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "_modules").mkdir(parents=True)
    (tmp_path / "tree" / "_modules" / "steps.py").write_text(STEPS)
    return tmp_path


@pytest.fixture
def detached(folder: Path) -> Iterator[Any]:
    loaded = _loaded(folder)
    yield lambda function, *args, **kwargs: loaded[f"detached.{function}"](*args, **kwargs)
    for job in loaded["detached.list"]():
        loaded["detached.kill"](job["job"])


def _loaded(folder: Path) -> Any:
    more = {"saltlick_jobs_dir": str(folder / "jobs"), "module_dirs": [str(minion_modules.ROOT), str(folder / "tree")]}
    return minion_modules.modules(folder, "detached", "steps", "cmd", "test", **more)


def _result(detached: Any, job: str) -> dict[str, Any]:
    """The job's status once it is over."""
    _until(lambda: detached("status", job)["state"] != "running")
    return detached("status", job)


def _until(seen: Any) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < give_up, f"not seen within {PATIENCE_S} s"
        time.sleep(0.02)


def _worker(folder: Path, job: str) -> dict[str, Any]:
    return json.loads((folder / "jobs" / job / "worker.json").read_text())


def _gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def test_a_job_runs_by_itself_and_tells_its_result(detached):
    begun = detached("start", "r1/1-value", "steps.value", args=[1, "two"], kwargs={"three": 3})
    assert begun["state"] in ("running", "done")
    result = _result(detached, "r1/1-value")
    assert result["seconds"] < 20
    assert result["value"].pop("pid") != os.getpid()
    assert {name: result[name] for name in ("job", "state", "function", "value", "error")} == {
        "job": "r1/1-value", "state": "done", "function": "steps.value", "error": "",
        "value": {"args": [1, "two"], "named": {"three": 3}},
    }  # fmt: skip


def test_start_does_not_wait(detached):
    started = time.monotonic()
    assert detached("start", "long", "test.sleep", args=[600])["state"] == "running"
    assert time.monotonic() - started < 10
    assert detached("kill", "long")["state"] == "killed"


def test_an_id_runs_once(detached, folder):
    marks = folder / "marks"
    for _ in range(3):
        detached("start", "migrate", "steps.append", args=[str(marks)])
    assert _result(detached, "migrate")["value"] is True
    assert detached("start", "migrate", "steps.append", args=[str(marks)])["state"] == "done"
    assert marks.read_text() == "ran\n"


def _start(folder: Path) -> str:
    return _loaded(folder)["detached.start"]("migrate", "steps.append", args=[str(folder / "marks"), 2])["state"]


def test_starts_at_the_same_time_run_once(detached, folder):
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        assert set(pool.map(_start, [folder] * 4)) <= {"running", "done"}
    assert _result(detached, "migrate")["state"] == "done"
    assert (folder / "marks").read_text() == "ran\n"


def test_a_start_that_was_interrupted_may_be_made_again(detached, folder):
    """Killed between its claim and its worker: nothing ran, so nothing is on record."""
    (folder / "jobs" / "one").mkdir(parents=True)
    (folder / "jobs" / "one" / "job.json").write_text('{"job": "one", "function": "steps.value", "deadline_s": 1}')
    assert detached("status", "one") == {"job": "one", "state": "unknown"}
    detached("start", "one", "steps.value")
    assert _result(detached, "one")["state"] == "done"


def test_an_id_belongs_to_its_function(detached):
    detached("start", "one", "steps.value")
    with pytest.raises(CommandExecutionError, match=r"job one is one of steps\.value, not of steps\.fail"):
        detached("start", "one", "steps.fail")


@pytest.mark.parametrize(
    ("function", "args", "error"),
    [
        ("steps.fail", [], "RuntimeError: no wheels"),
        ("steps.leave", [], "SystemExit: 3"),
        ("steps.retcode", [4], "exit code 4: last words"),
        ("steps.returned", [False], "it returned False"),
        ("steps.returned", [{"result": False, "comment": "no port"}], "no port"),
        ("steps.returned", [{"retcode": 2, "stderr": "a\nb\n"}], "exit code 2: b"),
        ("cmd.run_all", ["echo so; echo bad >&2; exit 7"], "exit code 7: bad"),
        ("test.exception", ["kaputt"], "Exception: kaputt"),
    ],
)
def test_a_failure_says_why(detached, function, args, error):
    detached("start", "job", function, args=args)
    result = _result(detached, "job")
    assert (result["state"], result["error"]) == ("failed", error)


def test_falsy_values_are_no_failures(detached):
    values: tuple[Any, ...] = (0, "", [], None, {"result": None})
    for number, value in enumerate(values):
        detached("start", str(number), "steps.returned", args=[value])
        assert _result(detached, str(number))["state"] == "done"


def test_nothing_that_is_told_of_a_job_makes_a_minion_call_it_a_failure(detached):
    """It looks for `result` and `success` in each dict, and an empty one means exit code 1."""
    for result in (detached("start", "job", "steps.returned", args=[None]), _result(detached, "job")):
        assert not {"result", "success"} & result.keys()


def test_arguments_are_as_if_typed(detached):
    """`salt server cmd.run 'a | b'` has a shell, which a call from within a module has not."""
    detached("start", "shell", "cmd.run", args=["echo abc | tr a-c A-C"])
    assert _result(detached, "shell")["value"] == "ABC"


def test_output_is_kept(detached, folder):
    detached("start", "all", "cmd.run_all", args=["echo to stdout; echo to stderr >&2"])
    result = _result(detached, "all")
    assert (result["value"]["stdout"], result["value"]["stderr"]) == ("to stdout", "to stderr")
    assert {"to stdout", "to stderr"} <= set(result["output_tail"].splitlines())
    detached("start", "print", "steps.fail")
    assert _result(detached, "print")["output_tail"].startswith("on the way\nTraceback")


def test_output_is_told_while_a_command_runs(detached):
    detached("start", "slow", "cmd.run", args=["echo step 1; sleep 600"])
    _until(lambda: detached("status", "slow")["output_tail"] == "step 1\n")
    assert detached("status", "slow")["state"] == "running"


def test_only_the_end_of_much_output_is_told(detached):
    detached("start", "much", "cmd.run", args=["seq 1 100000"])
    result = _result(detached, "much")
    assert len(result["output_tail"]) <= 4000
    assert result["output_tail"].endswith("\n100000\n")
    assert result["value"].startswith("[568894 characters left out]")
    assert result["value"].endswith("\n100000")


def test_a_late_job_is_ended_with_all_it_started(detached, folder):
    detached("start", "late", "steps.family", args=[str(folder / "pids")], deadline_s=1)
    result = _result(detached, "late")
    assert (result["state"], result["error"]) == ("late", "not done after 1 s: ended at its deadline")
    assert result["output_tail"] == "started a family\n"
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    assert len(pids) == 3
    _until(lambda: _gone(pids))


def test_what_a_late_command_said_is_kept(detached):
    """Salt's own capture dies with the process that holds it: this is what says where a build hung."""
    detached("start", "late", "cmd.run_all", args=["echo compiling lxml; sleep 600"], deadline_s=1)
    result = _result(detached, "late")
    assert (result["state"], result["output_tail"]) == ("late", "compiling lxml\n")


def test_kill_ends_all(detached, folder):
    detached("start", "job", "steps.family", args=[str(folder / "pids")])
    _until((folder / "pids").exists)
    result = detached("kill", "job")
    assert (result["state"], result["error"]) == ("killed", "killed by detached.kill")
    _until(lambda: _gone([int(pid) for pid in (folder / "pids").read_text().split()]))
    assert detached("kill", "job")["state"] == "killed"


def test_a_killed_worker_is_lost_not_running(detached, folder):
    detached("start", "job", "steps.family", args=[str(folder / "pids")])
    _until((folder / "pids").exists)
    os.kill(_worker(folder, "job")["worker"][0], signal.SIGKILL)
    result = _result(detached, "job")
    assert (result["state"], result["error"]) == ("lost", "its worker was ended by signal 9 (out of memory?)")
    assert result["output_tail"] == "started a family\n"
    _until(lambda: _gone([int(pid) for pid in (folder / "pids").read_text().split()]))


def test_a_killed_keeper_does_not_lose_the_result(detached, folder):
    detached("start", "job", "steps.append", args=[str(folder / "marks"), 1])
    os.kill(_worker(folder, "job")["keeper"][0], signal.SIGKILL)
    assert detached("status", "job")["state"] == "running"
    assert _result(detached, "job")["state"] == "done"


def test_without_its_keeper_a_late_job_is_ended_when_it_is_looked_at(detached, folder):
    detached("start", "job", "test.sleep", args=[600], deadline_s=2)
    os.kill(_worker(folder, "job")["keeper"][0], signal.SIGKILL)
    assert _result(detached, "job")["state"] == "late"
    assert _gone([_worker(folder, "job")["worker"][0]])


def test_after_a_restart_of_the_server_a_job_is_lost(detached, folder):
    """Its process ids may well be those of others by then."""
    detached("start", "job", "steps.value")
    _result(detached, "job")
    (folder / "jobs" / "job" / "result.json").unlink()
    others = [os.getpid(), "another boot:123"]
    record = {"started": 1.0, "keeper": others, "worker": others}
    (folder / "jobs" / "job" / "worker.json").write_text(json.dumps(record))
    result = detached("status", "job")
    assert (result["state"], result["error"]) == (
        "lost", "its worker was killed, or the server restarted, before it ended"
    )  # fmt: skip
    assert detached("start", "job", "steps.value")["state"] == "lost"


def test_a_job_outlives_who_started_it(detached, folder):
    """A process that starts a job and is killed, with its whole group, as a minion of which the service manager kills all."""
    script = f"""
        import sys
        sys.path[:0] = {[str(Path(__file__).parent), str(minion_modules.ROOT / "tests")]!r}
        import test_detached_module as here, pathlib, time
        print(here._start(pathlib.Path({str(folder)!r})), flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "running\n"
        os.killpg(starter.pid, signal.SIGKILL)
        assert starter.stdout.read() == ""  # nobody holds the starter's streams any more
    assert _result(detached, "migrate")["state"] == "done"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_worker_holds_nothing_of_the_minion(detached, folder):
    detached("start", "job", "steps.streams")
    streams, leads, where = _result(detached, "job")["value"]
    log = str(folder / "jobs" / "job" / "output.log")
    assert (streams, leads, where) == ([os.devnull, log, log], True, "/")


def test_a_result_that_is_no_json_is_told_in_words(detached):
    detached("start", "odd", "steps.odd")
    result = _result(detached, "odd")
    assert result["state"] == "done"
    assert "('a', 'b')" in result["value"]


def test_mistakes_are_told_at_once_and_claim_nothing(detached):
    with pytest.raises(CommandExecutionError, match=r"steps\.nothing is no function of this minion"):
        detached("start", "job", "steps.nothing")
    with pytest.raises(SaltInvocationError):
        detached("start", "job", "steps.fail", kwargs={"colour": "red"})
    assert detached("status", "job") == {"job": "job", "state": "unknown"}
    for job in ("", "..", "x" * 300):
        with pytest.raises(CommandExecutionError, match="cannot be the id of a job"):
            detached("start", job, "steps.value")


def test_ids_stay_in_their_folder(detached, folder):
    detached("start", "../../prod-1/2-npm install", "steps.value")
    _result(detached, "../../prod-1/2-npm install")
    assert [job["job"] for job in detached("list")] == ["../../prod-1/2-npm install"]
    assert len([path for path in (folder / "jobs").iterdir() if path.is_dir()]) == 1


def test_jobs_are_roots_alone(detached, folder):
    detached("start", "job", "steps.value")
    _result(detached, "job")
    assert (folder / "jobs").stat().st_mode & 0o077 == 0
    assert (folder / "jobs" / "job").stat().st_mode & 0o077 == 0


def test_what_ended_long_ago_is_forgotten(detached):
    assert detached("list") == []
    detached("start", "old", "steps.value")
    _result(detached, "old")
    detached("start", "long", "test.sleep", args=[600])
    assert detached("forget") == []
    assert detached("forget", older_than_s=0) == ["old"]
    assert [(job["job"], job["state"]) for job in detached("list")] == [("long", "running")]
    assert detached("start", "old", "steps.value")["state"] in ("running", "done")


def test_only_these_are_commands():
    assert minion_modules.commands("detached") == {
        f"detached.{name}" for name in ("start", "status", "kill", "list", "forget")
    }
