"""What the terminal shows: a line per step, the plan, the closing words for each result."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from support import release_samples as samples

from saltlick.release.journal.record import Phase, Result, ServerStatus, StepRecord
from saltlick.release.report import history, lines, wording


@pytest.fixture(scope="module")
def records():
    return {name: make() for name, make in samples.SAMPLES.items()}


def test_step_line_has_time_batch_server_step_duration_and_result(records):
    record = records["growing"]
    one = next(step for step in record.steps if step.server == "prod-app-2" and step.phase is Phase.DRAIN)
    line = lines.step(record, one)
    assert re.fullmatch(r"14:\d\d:\d\d  batch 2/3  prod-app-2   drain +2\.0 s  ok +drained, 0 sessions left", line)


def test_step_that_has_begun_has_no_duration(records):
    one = next(step for step in records["running"].steps if step.ended is None)
    assert "…" in lines.step(records["running"], one)


def test_failed_step_shows_everything_it_was_told(records):
    one = wording.failed(records["unbuilt"])[0]
    told = lines.step(records["unbuilt"], one)
    assert "FAILED" in told
    assert "line 39 of a long story" in told


def test_columns_stand_under_each_other(records):
    record = records["done"]
    told = [lines.step(record, step) for step in record.steps if step.server]
    assert len({line.index("prod-app-") for line in told}) == 1


def test_undo_is_said(records):
    undone = [step for step in records["rolled_back"].steps if step.undo and step.phase is Phase.DRAIN]
    assert all("undo drain" in lines.step(records["rolled_back"], step) for step in undone)


@pytest.mark.parametrize("name", sorted(samples.SAMPLES.keys() - {"many"}))
def test_no_colour_means_no_escape_and_colour_does_not_change_the_words(records, name):
    record = records[name]
    for make in (lines.summary, lines.plan, history.show):
        plain, coloured = make(record), make(record, colour=True)
        assert "\x1b" not in plain
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_terminals_are_not_steered_by_what_servers_say(records):
    step = StepRecord(
        number=1,
        phase=Phase.HOOK,
        name="\x1b]0;title\x07x",
        started=0,
        ended=1,
        ok=True,
        detail="\x1b[2J\x1b[31mred\u202edlo\r",
    )
    told = lines.step(records["done"], step)
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "reddlo" in told


def test_plan_says_batches_servers_from_to_zone_and_capacity(records):
    told = lines.plan(records["growing"], floor=4, notes=["the release window is open until 15:00"])
    assert "at least 4 in traffic" in told
    assert re.search(r"batch 1/3  1 server  11 of 12 stay in traffic", told)
    assert re.search(r"batch 3/3  8 servers  4 of 12 stay in traffic", told)
    assert re.search(r"~  prod-app-4  77aa00b → f5d9859  us-east-1a", told)
    assert "window is open" in told
    assert told.endswith("Nothing was changed (test=True).")


def test_plan_says_who_has_it_already(records):
    assert lines.plan(records["unchanged"]).count("has it already") == 2


def test_plan_for_machines(records):
    told = lines.plan_data(records["growing"], floor=4)
    assert [batch["in_traffic"] for batch in told["batches"]] == [11, 9, 4]
    assert told["batches"][0]["servers"] == [
        {"name": "prod-app-1", "zone": "us-east-1a", "previous": samples.OLD, "sha": samples.NEW}
    ]


HEADLINES = {
    "done": "Both servers of prod run f5d9859.",
    "growing": "All 12 servers of prod run f5d9859.",
    "rolled_back": "the 4 servers it had touched are back on what each ran before.",
    "stuck": "could not be taken back everywhere; out of traffic: prod-app-1.",
    "left_out": "out of traffic: prod-app-3; skipped, as before and in traffic: prod-app-7.",
    "running": "Running, batch 2 of 3: 2 of 6 servers of prod run f5d9859.",
    "refused": "was refused before anything was touched.",
    "unbuilt": "failed before a server had it; all run what they ran before.",
    "unchanged": "had f5d9859 already; nothing was touched.",
}
NEXT = {
    "done": "salt-run release.rollback prod",
    "rolled_back": "salt-run release.show prod-20261122T140311Z-f5d9859",
    "stuck": "salt-run release.resume prod",
    "left_out": "salt-run release.rolling prod rev=f5d9859",
    "running": "salt-run release.watch prod",
    "refused": "give the same command again",
    "unchanged": "force=True",
}


@pytest.mark.parametrize("name", HEADLINES)
def test_closing_says_how_it_came_out(records, name):
    assert HEADLINES[name] in lines.closing(records[name])[0]


@pytest.mark.parametrize("name", NEXT)
def test_closing_says_what_to_do_next(records, name):
    assert NEXT[name] in "\n".join(wording.advice(records[name]))


@pytest.mark.parametrize("result", Result)
def test_each_result_has_a_headline_and_advice(records, result):
    record = replace(records["left_out"], result=result)
    assert wording.headline(record).endswith(".")
    assert wording.advice(record)[0]


@pytest.mark.parametrize("result", [Result.DONE, Result.PARTIAL, Result.ROLLED_BACK, Result.STUCK])
@pytest.mark.parametrize("standing", [ServerStatus.LEFT_OUT, ServerStatus.TOUCHED])
def test_no_server_is_out_of_traffic_unsaid(records, result, standing):
    """Whatever the result says: all of them are named, however many."""
    servers = tuple(replace(server, standing=standing) for server in records["many"].servers)
    record = replace(records["many"], result=result, servers=servers, steps=(), requests=())
    for told in (lines.summary(record), "\n".join(lines.table(record))):
        said = [line for line in told.splitlines() if "OUT OF TRAFFIC" in line]
        assert len(said) == 200
    headline = wording.headline(record)
    assert all(server.name in headline for server in servers)


def test_once_steps_that_were_not_undone_are_said_loudly(records):
    assert "Not undone" in "\n".join(lines.closing(records["rolled_back"]))
    back = StepRecord(number=99, phase=Phase.ONCE, name="migrate", undo=True, started=0, ended=1, ok=True)
    mended = replace(records["rolled_back"], steps=(*records["rolled_back"].steps, back))
    assert wording.not_undone(mended) == ()
    assert "Not undone" not in "\n".join(lines.closing(records["done"]))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 m 00 s"),
        (252, "4 m 12 s"),
        (3720, "1 h 02 m"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations(seconds, said):
    assert wording.took(seconds) == said


def test_names_are_counted_from_eight_on():
    assert wording.names(["a"]) == "a"
    assert wording.names(["a", "b", "c"]) == "a, b and c"
    many = [f"s{n}" for n in range(20)]
    assert wording.names(many).endswith("s5 and 14 more")
    assert wording.names(many, all_of_them=True).count("s") == 20


def test_history_is_newest_first_and_says_why(records):
    old = replace(records["rolled_back"], id="old", started=samples.START - 9000, rollback=True)
    told = history.table([old, records["done"]]).splitlines()
    assert "done" in told[1]
    assert "old" in told[2]
    assert "(back)" in told[2]
    assert "prod-app-3 was not healthy" in told[2]
    assert history.table([]) == "No release yet."
    assert [one["id"] for one in history.table_data([old, records["done"]])] == [records["done"].id, "old"]


def test_show_has_each_step_and_the_reason(records):
    record = records["stuck"]
    told = history.show(record)
    assert sum(bool(re.match(r"\d\d:\d\d:\d\d  ", line)) for line in told.splitlines()) == len(record.steps)
    assert "prod-app-1 could not go back" in told
    assert samples.NEW in told


def test_show_for_machines_is_plain(records):
    import json

    told = history.show_data(records["left_out"])
    assert json.loads(json.dumps(told)) == told
    assert "data" not in told
    assert told["out_of_traffic"] == ["prod-app-3"]
    assert told["servers"]["prod-app-3"]["in_traffic"] is False
    assert told["servers"]["prod-app-7"]["sha"] == samples.OLD
    assert len(told["steps"]) == len(records["left_out"].steps)
    assert history.counts(records["left_out"])["done"] == 6


@pytest.mark.parametrize(
    ("phase", "name", "said"),
    [
        (Phase.DRAIN, "drain", "drain"),
        (Phase.DRAIN, "", "drain"),
        (Phase.PREFLIGHT, "preflight", "pre-flight"),
        (Phase.START, "supervisord.start app:*", "start: supervisord.start app:*"),
        (Phase.HEALTH, "http://127.0.0.1/health", "health: /health"),
        (Phase.HEALTH, "http://localhost:8080/up", "health: :8080/up"),
        (Phase.HEALTH, "http://10.0.0.7/up", "health: http://10.0.0.7/up"),
        (Phase.ONCE, "1 migrate", "once: migrate"),
        (Phase.BUILD, "build", "build"),
    ],
)
def test_titles(phase, name, said):
    assert lines.title(StepRecord(number=1, phase=phase, name=name, started=0.0)) == said


def test_once_steps_of_one_name_are_told_apart(records):
    """Undone was the first; the second was not."""
    told = [
        StepRecord(number=n, phase=Phase.ONCE, name=name, undo=undo, started=n, ended=n + 1, ok=True)
        for n, (name, undo) in enumerate([("1 migrate", False), ("2 migrate", False), ("1 migrate", True)])
    ]
    assert wording.not_undone(replace(records["rolled_back"], steps=tuple(told))) == ("migrate",)
    assert wording.not_undone(replace(records["rolled_back"], steps=(told[0], told[2]))) == ()
