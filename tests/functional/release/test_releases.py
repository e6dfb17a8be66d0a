"""`release.*` up to the rollout and from it on: arguments, refusals, exit codes, and how the lock goes with the journal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from support.commands import run_typed
from support.salt_master import CHECKOUT

from saltlick.commands import lock
from saltlick.commands.arguments import caller, flag, number, text
from saltlick.commands.release import commands, controls, queries
from saltlick.commands.release.context import open_journal, release_target
from saltlick.commands.release.job import ReleaseJob, run_release
from saltlick.commands.release.notifier import ReleaseNotifier
from saltlick.commands.release.states import arguments
from saltlick.commands.release.states import rolled as state_of_a_release
from saltlick.commands.release.webhook import WebhookNotifier
from saltlick.commands.result import guarded
from saltlick.errors import InvalidInput
from saltlick.fleet.ports import Fleet
from saltlick.jobs.holder import Mode
from saltlick.jobs.interrupts import Interrupted
from saltlick.jobs.lock import Locks
from saltlick.jobs.progress import Progress
from saltlick.release.context import ReleaseContext, ReleaseEvent
from saltlick.release.journal.control_request import ControlAction
from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerRecord, StepRecord
from saltlick.release.pillar.model import Webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = """
environment:
  name: one
  region: us-east-1
  cidr: 10.61.0.0/16
  zones: [us-east-1a]
  image: {id: ami-12c6146b}
  subnets: {public: {cidrs: [10.61.0.0/24]}}
  firewall: {app: [{from: world, tcp: 80}]}
  servers: {app: {count: 2, type: t3.small, subnet: public, firewall: app}}
  salt: {master: 127.0.0.1}
"""
RECIPE = """
release:
  application: shop
  servers: app
  source: {repository: /nowhere.git, directory: /srv/app}
  health: {checks: [{tcp: "127.0.0.1:9"}]}
"""
SHA = "f5d98594c2a7e0b1d3f6a8895c4e7b2013d6fa48"


PREFLIGHT = StepRecord(number=1, phase=Phase.PREFLIGHT, name="preflight", started=1.0, ended=2.0, ok=True)


@pytest.fixture
def house(master):
    """The environment `one` with a recipe."""
    (master.folder / "pillar/common/top.sls").write_text("{{ saltenv }}:\n  '*_master': [environment, release]\n")
    (master.folder / "pillar/common/release.sls").write_text(RECIPE)
    (master.folder / "srv/orch").symlink_to(CHECKOUT / "orch")
    master.pillar("one", ENVIRONMENT)
    return master


def record(**how: Any) -> ReleaseRecord:
    whole = {
        "id": "one-20261122T140311Z-f5d9859", "environment": "one", "application": "shop", "group": "app", "strategy": "prepared",
        "rev": "main", "sha": SHA, "who": "ann", "host": "master", "job": "41", "started": 1795356191.0,
        "servers": (ServerRecord(name="one-app-1", batch=1), ServerRecord(name="one-app-2", batch=2)),
        "steps": (PREFLIGHT,),
    }  # fmt: skip
    return ReleaseRecord(**{**whole, **how})


def written(master, **how: Any) -> ReleaseRecord:
    """A release in the journal."""
    made = record(**how)
    with open_journal(master.opts) as journal:
        journal.open(made, recipe=release_target(master.opts, "one").recipe.model_dump_json())
    return made


def desk(master) -> Locks:
    return Locks(folder=master.folder / "var/cache/salt/master/saltlick/locks", user="bob")


def dead(master, job: str) -> None:
    """A lock whose process is gone."""
    there = desk(master)
    taken = there.take("one", reason="release", job=job)
    path = there.folder / "one.json"
    path.write_text(json.dumps({**taken.holder.as_data(), "process": {"pid": 2**22 + 1, "started": "long ago"}}))


def code(command: Any, opts: Any, name: str, **typed: Any) -> tuple[int, str]:
    answer = run_typed(command, opts, name, **typed)
    return answer.retcode, str(answer.result.get("error", ""))


# -- arguments


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "rev: say which revision"),
        ({"rev": "x", "batch": "none"}, "batch: none is neither a count nor a percent"),
        ({"rev": "x", "pause": "evry"}, "pause: evry is none of"),
        ({"rev": "x", "group": "ap"}, "group: "),
        ({"rev": "x", "test": "perhaps"}, "test: 'perhaps' is neither True nor False"),
        ({"rev": "x", "lock_wait": "long"}, "lock_wait: long is not a number"),
        ({"rev": True}, "rev: True is not text; put it in quotes"),
    ],
)
def test_bad_arguments_change_nothing(house, given, said):
    retcode, error = code(commands.rolling, house.opts, "one", **given)
    assert (retcode, said in error) == (2, True), error
    assert desk(house).read("one") is None


def test_one_environment_at_a_time_and_only_one_that_is(house):
    assert "one environment at a time, not one, two" in code(commands.rolling, house.opts, "one,two", rev="x")[1]
    assert "tset: is not an environment" in code(commands.rolling, house.opts, "tset", rev="x")[1]


def test_the_recipe_is_refused_with_all_its_problems(house):
    (house.folder / "pillar/common/release.sls").write_text(RECIPE + "  balanser: {}\n  strategy: {batch: 0}\n")
    retcode, error = code(commands.rolling, house.opts, "one", rev="x")
    assert retcode == 2
    assert "release.balanser" in error
    assert "release.strategy.batch" in error


def test_without_a_master_it_says_so_and_gives_the_lock_back(house):
    retcode, error = code(commands.rolling, house.opts, "one", rev="x")
    assert (retcode, "no salt-master runs here" in error) == (7, True)
    assert desk(house).read("one") is None


def test_what_was_typed_is_what_is_meant():
    opts = {"arg": ["prod", "rev=0012345", "to=1e5"]}
    assert text(opts, "rev", 5349) == "0012345"
    assert text(opts, "message", 5349) == "5349"
    assert text({"arg": ["rev=on"]}, "rev", True) == "on"
    assert text({}, "rev", " main ") == "main"
    assert flag("True")
    assert not flag(None)
    assert number("3") == 3
    with pytest.raises(ValueError, match="-1 is not a number from 0 up"):
        number(-1)


# -- through Salt


def test_the_runner_answers_with_data_and_both_codes(house):
    told = house.call("release.rolling", "tset", "rev=f5d9859")
    assert told["return"]["retcode"] == 2
    assert told["success"] is False
    told = house.call("release.rolling", "one", "reb=f5d9859")["return"]
    assert "reb: is not an argument; there are rev, batch" in told["error"]
    assert house.call("release.history", "one")["return"]["releases"] == []


def test_the_command_line_exits_with_the_code_and_keeps_a_numeric_revision(house):
    done = house.run("release.rolling", "one", "rev=0012345", "--out=json")
    assert done.code == 7
    assert "no salt-master runs here" in done.json["error"]


def test_the_orchestration_fails_with_the_sentence(house):
    for more, said in (
        (("pillarenv=tset",), "tset: is not an environment"),
        (("pillarenv=one", 'pillar={"release": {"rev": "f5d9859"}}'), "no salt-master runs here"),
    ):
        told = house.call("state.orchestrate", "orch.release", *more)["return"]
        [states] = told["data"].values()
        [state] = states.values()
        assert told["retcode"] == 1
        assert state["result"] is False
        assert said in state["comment"]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("None", {}, "name an environment (pillarenv="),
        ("one", {}, "rev: say which revision"),
        ("one", {"rev": "x", "batsh": 2}, "release.batsh: is not an argument; did you mean batch?"),
        ("one", {"rev": "x", "application": "other"}, "release.application: is the recipe's"),
    ],
)
def test_the_state_says_what_is_wrong_with_what_was_given_along(house, name, given, said):
    state = state_of_a_release(house.opts, {"release": given}, name, caller())
    assert state["result"] is False
    assert said in state["comment"]


def test_the_operators_arguments_are_told_apart_from_the_recipe():
    recipe = {"release": {"application": "shop", "strategy": {"batch": 1}}}
    merged = {"release": {**recipe["release"], "rev": "x", "batch": "50%"}, "lock_wait": 60}
    assert arguments(merged, recipe) == {"rev": "x", "batch": "50%", "lock_wait": 60}
    with pytest.raises(InvalidInput, match="strategy: is the recipe's"):
        arguments({"release": {"strategy": {"batch": 2}}}, recipe)


# -- the lock and the journal


class Nobody:
    """Ports that nobody uses."""

    def run(self, calls: Any, *, deadline_s: float) -> Any:
        raise AssertionError(calls)


@contextlib.contextmanager
def played(
    opts: Any, name: str, recipe: Any, *, notify: Any, interrupts: Any, environment: Any
) -> Iterator[ReleaseContext]:
    nobody: Fleet = Nobody()
    with open_journal(opts) as journal:
        yield ReleaseContext(
            fleet=nobody,
            master=nobody,
            balancer=nobody,
            journal=journal,
            clock=nobody,
            notify=notify,
            interrupts=interrupts,
        )


def rolled(house, story: Any, *, succeeds: ReleaseRecord | None = None, job: str = "41") -> Any:
    release = release_job(house, succeeds)
    request = release.request(caller(job, "ann"), 0)
    return guarded(run_release, house.opts, release, request, story, open_context=played)


def release_job(house, continues: ReleaseRecord | None = None) -> ReleaseJob:
    target = release_target(house.opts, "one")
    return ReleaseJob(
        environment="one",
        recipe=target.recipe,
        action="release",
        reason="release of main",
        target=target,
        continues=continues,
    )


def ends(result: Result, reason: str = "") -> Any:
    def story(on: ReleaseContext) -> ReleaseRecord:
        on.journal.open(record(), recipe="{}")
        on.journal.finish(record().id, result, reason)
        return on.journal.read(record().id)

    return story


@pytest.mark.parametrize("result", [Result.DONE, Result.UNCHANGED, Result.PARTIAL, Result.REFUSED, Result.ROLLED_BACK])
def test_a_release_that_is_over_gives_the_lock_back(house, result):
    answer = rolled(house, ends(result))
    assert answer.retcode == result.exit_code
    assert desk(house).read("one") is None
    assert (house.folder / "var/cache/salt/master/saltlick/releases" / f"{record().id}.html").exists()
    assert answer.result["page"].endswith(".html")
    assert json.dumps(answer.result)


def test_a_stuck_release_keeps_the_lock_for_a_person_and_for_its_resume(house):
    assert rolled(house, ends(Result.STUCK, "one-app-2 does not start")).retcode == 6
    held = desk(house).read("one")
    assert held.mode is Mode.MANUAL
    assert "salt-run release.resume one" in held.reason
    refused = rolled(house, ends(Result.DONE), job="42")
    assert refused.retcode == 3
    assert "release.resume one" in refused.result["error"]

    def mended(on: ReleaseContext) -> ReleaseRecord:
        on.journal.finish(record().id, Result.DONE)
        return on.journal.read(record().id)

    assert rolled(house, mended, succeeds=replace(record(), result=Result.STUCK), job="43").retcode == 0
    assert desk(house).read("one") is None


def test_a_release_whose_process_died_is_said_and_only_its_resume_takes_the_lock(house):
    written(house)
    dead(house, job="41")
    refused = rolled(house, ends(Result.DONE), job="42")
    assert refused.retcode == 3
    assert "Its process is gone" in refused.result["error"]
    assert f"To go on with {record().id}: salt-run release.resume one" in refused.result["error"]
    answer = run_typed(commands.resume, house.opts, "one", job_id="43", user="ann")
    assert "no salt-master runs here" in answer.result["error"], "it had the lock, and got as far as that"
    assert desk(house).read("one").mode is Mode.MANUAL, "and left it as it was: it is still half done"


def test_a_lock_by_hand_is_not_put_over_a_stale_one(house):
    dead(house, job="41")
    retcode, error = code(lock.lock, house.opts, "one", message="sale")
    assert retcode == 3
    assert "Its process is gone and may have left work half done" in error
    assert desk(house).read("one").job == "41"


def test_a_defect_in_the_middle_keeps_the_lock(house):
    def story(on: ReleaseContext) -> ReleaseRecord:
        on.journal.open(record(), recipe="{}")
        raise ZeroDivisionError

    assert rolled(house, story).retcode == 1
    assert desk(house).read("one").mode is Mode.MANUAL


def test_the_second_signal_keeps_the_lock_and_says_what_is_left(house, capfd):
    def story(on: ReleaseContext) -> ReleaseRecord:
        on.journal.open(record(), recipe="{}")
        os.kill(os.getpid(), signal.SIGINT)
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except Interrupted as stopped:
            on.journal.explain(record().id, f"stopped at once ({stopped}); left: one-app-1: touched")
        return on.journal.read(record().id)

    answer = rolled(house, story)
    assert answer.retcode == 6
    assert "left: one-app-1: touched" in answer.result["error"]
    assert desk(house).read("one").job == "41"
    assert "Once more stops this instant" in capfd.readouterr().err


def test_a_signal_while_it_waits_for_the_lock_ends_it(house):
    desk(house).take("one", reason="deploy", job="1")
    release = release_job(house)
    usual = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        while signal.getsignal(signal.SIGINT) is usual:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    request = release.request(caller("2"), 30)
    answer = guarded(run_release, house.opts, release, request, ends(Result.DONE), open_context=played)
    assert (answer.retcode, answer.result["error"]) == (7, "Ctrl-C: nothing was touched")
    assert desk(house).read("one").job == "1"


def test_resume_and_rollback_without_anything_half_done(house):
    assert "no release of one is half done" in code(commands.resume, house.opts, "one")[1]
    written(house, result=Result.DONE)
    assert code(commands.resume, house.opts, "one", release="one-1")[0] == 2


# -- orders and looks


def test_orders_reach_the_journal_and_a_dead_release_is_said(house):
    assert code(controls.pause, house.opts, "one")[0] == 2
    written(house)
    dead(house, job="41")
    answer = run_typed(controls.abort, house.opts, "one", reason="wrong one", user="bob")
    assert answer.result["heard"] is False
    assert "its process is gone" in answer.text
    desk(house).unlock("one")
    desk(house).take("one", reason="release", job="41")
    answer = run_typed(controls.skip, house.opts, "one", server="one-app-2", user="bob")
    assert answer.result["heard"] is True
    assert answer.text == f"{record().id} leaves one-app-2 as it is"
    assert "one-app-9" in code(controls.skip, house.opts, "one", server="one-app-9")[1]
    with open_journal(house.opts) as journal:
        assert [(order.want, order.who) for order in journal.orders(record().id)] == [
            (ControlAction.ABORT, "bob"),
            (ControlAction.SKIP, "bob"),
        ]


def test_history_show_and_watch(house, capfd):
    assert "nothing was ever released in one" in code(queries.show, house.opts, "one")[1]
    made = written(house, result=Result.DONE, ended=1795356200.0)
    assert run_typed(queries.history, house.opts, "one").result["releases"][0]["id"] == made.id
    for name in ("one", made.id):
        shown = run_typed(queries.show, house.opts, name)
        assert shown.result["id"] == made.id
        assert shown.result["steps"][0]["name"] == "preflight"
        assert made.id in shown.text(False)
    assert "steps" not in run_typed(queries.show, house.opts, "one", steps=False).result
    watched = run_typed(queries.watch, house.opts, "one")
    assert watched.result["id"] == made.id
    assert "pre-flight" in capfd.readouterr().err


def test_watch_follows_until_it_is_over(house, capfd):
    made = written(house)

    def go_on() -> None:
        with open_journal(house.opts) as journal:
            step = StepRecord(
                number=2, phase=Phase.DRAIN, name="drain", server="one-app-1", batch=1, started=1795356193.0
            )
            journal.begin(made.id, [step])
            journal.end(made.id, [replace(step, ended=1795356195.0, ok=True)])
            journal.finish(made.id, Result.DONE)

    threading.Timer(0.4, go_on).start()
    assert run_typed(queries.watch, house.opts, "one", interval_s=0.1).result["outcome"] == "done"
    assert "drain" in capfd.readouterr().err


# -- what is told


class Bus:
    def __init__(self) -> None:
        self.fired: list[tuple[str, dict[str, Any]]] = []

    def fire(self, tag: str, content: dict[str, Any]) -> None:
        self.fired.append((tag, content))

    def close(self) -> None:
        pass


def tell(*news: ReleaseEvent, webhook: Webhook | None = None) -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
    stream, bus = io.StringIO(), Bus()
    with Progress("77", bus, stream=stream) as progress:
        teller = ReleaseNotifier({"no_color": True}, progress, WebhookNotifier({}, webhook, progress.line))
        for one in news:
            teller(one)
    return stream.getvalue().splitlines(), bus.fired


def test_a_line_per_step_and_an_event_for_each_of_its_ends():
    step = StepRecord(number=2, phase=Phase.DRAIN, name="drain", server="one-app-1", batch=1, started=1795356193.0)
    ended = replace(step, ended=1795356195.0, ok=True, detail="drained, 0 sessions")
    release = record()
    over = replace(release, result=Result.DONE)
    lines, events = tell(
        ReleaseEvent(release=release),
        *(ReleaseEvent(release=release, step=one, batches=2) for one in (step, ended)),
        ReleaseEvent(release=release, text="hm\x1b[2J"),
        ReleaseEvent(release=over),
    )
    assert lines[0] == f"one: release {release.id} of shop to f5d9859 by ann"
    assert "batch 1/2  one-app-1  drain" in lines[1]
    assert lines[1].endswith("drained, 0 sessions")
    assert lines[2].endswith("hm")
    assert len(lines) == 3
    told = [tag.removeprefix("saltlick/one/77/release/") for tag, _ in events]
    assert told == ["started", "drain", "drain", "said", "done"]
    assert [content["state"] for _, content in events[1:3]] == ["begun", "ended"]
    assert events[2][1]["duration_ms"] == 2000
    assert json.dumps(events)


def test_what_is_told_cannot_end_a_release():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise OSError(5, "Input/output error")

    with Progress("77", Bus(), stream=Gone()) as progress:
        teller = ReleaseNotifier({}, progress, WebhookNotifier({}, None, progress.line))
        teller(ReleaseEvent(release=record(), text="hello"))
        teller(ReleaseEvent(release=None, text="a defect"))


@pytest.fixture
def listener():
    heard: list[dict[str, Any]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()


def test_the_webhook_is_told_at_its_moments(listener):
    address, heard = listener
    webhook = Webhook.model_validate({"url": f"{address}/secret", "on": ["started", "failed"]})
    stuck = replace(record(), result=Result.STUCK, reason="x")
    tell(
        *(ReleaseEvent(release=one) for one in (record(), replace(record(), result=Result.DONE), stuck)),
        webhook=webhook,
    )
    assert [one["moment"] for one in heard] == ["started", "failed"]
    assert heard[1]["reason"] == "x"
    assert "f5d9859" in heard[0]["text"]


@pytest.mark.parametrize("address", ["/broken", "http://127.0.0.1:1/secret", "sdb://nowhere/secret"])
def test_a_webhook_that_fails_is_a_remark_without_its_address(listener, address):
    webhook = Webhook.model_validate({"url": address if "://" in address else listener[0] + address})
    lines, _ = tell(ReleaseEvent(release=record()), webhook=webhook)
    assert "the webhook was not told that the release started" in lines[-1]
    assert "secret" not in "".join(lines)
    assert "127.0.0.1" not in "".join(lines)
