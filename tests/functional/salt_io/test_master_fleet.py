"""Steps that run on the master: runners and execution functions, each answering as a minion would."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from saltlick.engine.wait import SystemClock
from saltlick.fleet.ports import Call
from saltlick.salt_io.master_fleet import MasterFleet

RUNNERS = """
def fine(*args, **kwargs):
    return {"args": list(args), "kwargs": {key: value for key, value in kwargs.items() if not key.startswith("__")}}

def raises():
    raise OSError("the disk is gone")

def says_three():
    __context__["retcode"] = 3
    return {"retcode": 3, "error": "three things are wrong"}
"""


@pytest.fixture
def on_master(master):
    folder = master.folder / "own" / "_runners"
    folder.mkdir(parents=True)
    (folder / "played.py").write_text(RUNNERS)
    opts = {**master.opts, "module_dirs": [str(master.folder / "own")]}
    made = MasterFleet(opts, SystemClock())
    yield made
    made.close()


def one(on_master, *call, deadline_s=30, **kwargs):
    [reply] = on_master.run({"": Call(call[0], call[1:], kwargs)}, deadline_s=deadline_s).values()
    return reply


def test_runners_and_execution_functions_by_name(on_master):
    assert one(on_master, "played.fine", "a", b=2).value == {"args": ["a"], "kwargs": {"b": 2}}
    assert one(on_master, "test.echo", "hello").value == "hello"
    assert one(on_master, "cmd.run", "echo hello").value == "hello"


def test_what_fails_says_why_and_the_next_is_not_blamed_for_it(on_master):
    assert one(on_master, "played.raises").error == "played.raises: OSError: the disk is gone"
    assert one(on_master, "played.fine").ok
    reply = one(on_master, "played.says_three")
    assert (reply.ok, reply.error) == (False, "played.says_three: three things are wrong")
    assert one(on_master, "played.fine").ok
    assert one(on_master, "cmd.run", "echo no; exit 4").error == "cmd.run: exit code 4: no"
    assert one(on_master, "cmd.run", "true").ok
    assert "neither as a runner nor" in one(on_master, "played.nothing").error
    assert "for an argument named A" in one(on_master, "cmd.run", "A=1 make").error
    assert not one(on_master, "test.echo", "a", "b").ok


def test_a_secret_of_a_runner_is_in_no_job_cache(on_master, master):
    def kept() -> str:
        files = [path for path in Path(master.opts["cachedir"]).rglob("*") if path.is_file()]
        return "".join(path.read_bytes().decode("utf-8", "replace") for path in files)

    assert one(on_master, "played.fine", "not secret at all").ok
    assert "not secret at all" in kept(), "it keeps nothing: this shows nothing"
    call = Call("played.fine", ("hush-hush",), hide=("sdb://vault/key",))
    assert on_master.run({"": call}, deadline_s=30)[""].value == {"args": ["hush-hush"], "kwargs": {}}
    assert "hush-hush" not in kept()
    assert not on_master.run({"": Call("played.says_three", hide=("sdb://vault/key",))}, deadline_s=30)[""].ok


def test_a_deadline_ends_the_wait(on_master):
    one(on_master, "test.echo", "loaded")
    began = time.monotonic()
    reply = one(on_master, "test.sleep", 5, deadline_s=0.2)
    assert time.monotonic() - began < 3
    assert reply.silent
    assert reply.error == "test.sleep on the master: not done in 0.2 s; it may still run"
