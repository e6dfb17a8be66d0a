"""The journal across processes: what a SIGKILL leaves, who reads meanwhile, what the audit says."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from dataclasses import replace

import pytest
from support.present import present
from support.release_world import World, asked, names, recipe, sha

from saltlick.errors import InvalidInput
from saltlick.fleet.ports import Call
from saltlick.jobs.store import Store
from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerRecord, ServerStatus, StepRecord
from saltlick.release.journal.store import Journal
from saltlick.release.planning.rollback_target import good_revisions, target
from saltlick.release.resume import rollback, rollback_to
from saltlick.release.rollout import release

HEAD = ReleaseRecord(
    id="prod-1", environment="prod", application="app", group="app", strategy="prepared", rev="main", sha="a" * 40,
    who="alice", host="master", job="1", started=1.0, servers=(ServerRecord(name="one", zone="z", previous="b" * 40),),
)  # fmt: skip
STEP = StepRecord(number=1, phase=Phase.DRAIN, name="drain", server="one", batch=1, started=2.0)


def test_what_is_written_is_read(tmp_path):
    journal = Journal(Store(tmp_path / "releases.sqlite"), epoch=lambda: 9.0)
    journal.open(HEAD, recipe="{}")
    moved = replace(HEAD.servers[0], standing=ServerStatus.TOUCHED, batch=1)
    journal.begin("prod-1", [STEP], [moved])
    assert journal.read("prod-1") == replace(HEAD, servers=(moved,), steps=(STEP,))
    ended = replace(STEP, ended=3.0, ok=True, detail="drained")
    journal.end("prod-1", [ended])
    journal.requests("prod-1", [("one", 2.0, 7)])
    journal.finish("prod-1", Result.DONE)
    assert journal.read("prod-1") == replace(
        HEAD, servers=(moved,), steps=(ended,), requests=(("one", 2.0, 7),), result=Result.DONE, ended=9.0
    )
    assert journal.unfinished("prod") is None
    assert journal.read("prod-2") is None


def test_only_the_master_reads_it(tmp_path):
    journal = Journal(Store(tmp_path / "releases.sqlite"))
    journal.open(HEAD, recipe="{}")
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == dict.fromkeys(
        ("releases.sqlite", "releases.sqlite-wal", "releases.sqlite-shm", "releases.jsonl"), "0o600"
    )


def write_and_die(path):
    journal = Journal(Store(path))
    journal.open(HEAD, recipe="{}")
    journal.begin("prod-1", [STEP])
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_committed_survives_a_sigkill_and_others_read_meanwhile(tmp_path):
    reader = Journal(Store(tmp_path / "releases.sqlite"))
    process = multiprocessing.get_context("fork").Process(target=write_and_die, args=(tmp_path / "releases.sqlite",))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    there = present(reader.unfinished("prod"))
    assert there.steps == (STEP,)
    assert [json.loads(line)["action"] for line in (tmp_path / "releases.jsonl").open()] == ["open", "begin"]


def test_a_reader_does_not_wait_for_a_writer_in_the_middle(tmp_path):
    writer, reader = (Journal(Store(tmp_path / "releases.sqlite")) for _ in range(2))
    writer.open(HEAD, recipe="{}")
    with writer._transaction("test", "prod-1"):
        writer._insert("prod-1", [STEP])
        assert present(reader.read("prod-1")).steps == ()
    assert present(reader.read("prod-1")).steps == (STEP,)


class Interrupted(Journal):
    """A journal that Ctrl-C meets at a commit while `ctrl_c` is set."""

    ctrl_c = False

    def _commit(self) -> None:
        if self.ctrl_c:
            raise KeyboardInterrupt
        super()._commit()


def test_a_write_that_is_cut_off_never_was(tmp_path):
    journal = Interrupted(Store(tmp_path / "releases.sqlite"))
    journal.open(HEAD, recipe="{}")
    journal.ctrl_c = True
    with pytest.raises(KeyboardInterrupt):
        journal.begin("prod-1", [STEP])
    journal.ctrl_c = False
    assert present(journal.read("prod-1")).steps == ()
    journal.begin("prod-1", [STEP])


def test_the_frozen_recipe_is_what_it_was(tmp_path):
    world = World(names(2))
    on = world.on(tmp_path)
    record = release(recipe(), asked(world), on)
    assert type(recipe()).model_validate_json(on.journal.recipe(record.id)) == recipe()


# -- rollbacks


def past(*releases):
    """A history, newest first, from (revision, result, rollback) oldest first."""
    records = [
        replace(HEAD, id=str(n), rev=rev, sha=sha(rev), result=result, rollback=back, servers=())
        for n, (rev, result, back) in enumerate(releases)
    ]
    return tuple(reversed(records))


DONE, FAILED = Result.DONE, Result.ROLLED_BACK


@pytest.mark.parametrize(
    ("releases", "good"),
    [
        ([("a", DONE, False), ("b", DONE, False)], "ba"),
        ([("a", DONE, False), ("b", FAILED, False), ("c", DONE, False)], "ca"),
        ([("a", DONE, False), ("b", DONE, False), ("c", DONE, False), ("b", DONE, True)], "ba"),
        ([("a", DONE, False), ("b", DONE, False), ("a", DONE, True), ("c", Result.PARTIAL, False)], "ca"),
        ([("a", DONE, False), ("b", DONE, False), ("a", DONE, True), ("b", DONE, False)], "ba"),
        ([("a", DONE, False), ("b", DONE, False), ("b", Result.UNCHANGED, False)], "ba"),
        ([], ""),
    ],
)
def test_what_may_be_gone_back_to(releases, good):
    assert good_revisions(past(*releases)) == tuple(map(sha, good))


@pytest.mark.parametrize(("before", "good"), [(("o", "o"), ("a", "o")), (("o", "p"), ("a",)), (("", ""), ("a",))])
def test_the_first_release_can_be_taken_back_to_what_all_ran_before(before, good):
    servers = tuple(replace(HEAD.servers[0], name=f"s{n}", previous=one and sha(one)) for n, one in enumerate(before))
    history = (replace(HEAD, rev="a", sha=sha("a"), result=DONE, servers=servers),)
    assert good_revisions(history) == tuple(map(sha, good))


def test_targets():
    history = past(("a", DONE, False), ("b", DONE, False), ("c", DONE, False))
    assert target(history) == sha("b")
    assert target(history, "2") == sha("a")
    assert target(history, sha("a")[:9]) == sha("a")
    assert target(history, "a") == sha("a")
    assert target(history, "v1.0") == "v1.0"
    with pytest.raises(InvalidInput, match="no such good revision"):
        target(history, "3")


def test_a_rollback_is_a_release_with_folders_that_are_there(tmp_path):
    world = World(names(2))
    [first] = {m.running for m in world.machines.values()}
    for rev in ("new", "newer"):
        release(recipe(), asked(world, rev), world.on(tmp_path))
        world.clock.sleep(60)
        world.once.clear()
    world.calls.clear()
    record = rollback(recipe(), asked(world, ""), world.on(tmp_path))
    assert (record.result, record.rollback, record.sha) == (Result.DONE, True, sha("new"))
    assert {m.running for m in world.machines.values()} == {sha("new")}
    assert not [call for _, call in world.calls if call == Call("build.make", (sha("new"),))]
    world.clock.sleep(60)
    # what was rolled back from is bad; before it there was what the servers ran at the very first
    assert rollback_to(recipe(), asked(world, ""), world.on(tmp_path)).rev == first
    with pytest.raises(InvalidInput):
        rollback_to(recipe(), asked(world, "2"), world.on(tmp_path))
