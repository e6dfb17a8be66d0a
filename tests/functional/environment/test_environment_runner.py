"""The operator's commands against moto: what they do, return, print and exit with. No master runs."""

from __future__ import annotations

import json

import pytest

from saltlick.jobs.holder import Mode
from saltlick.jobs.lock import Locks

pytestmark = pytest.mark.timeout(300)

FUNCTIONS = (
    "plan",
    "apply",
    "destroy",
    "show",
    "drift",
    "validate",
    "servers",
    "tiers",
    "lock",
    "unlock",
    "locked",
    "history",
)


def locks_of(master) -> Locks:
    return Locks(folder=master.folder / "var/cache/salt/master/saltlick/locks", user="bob")


def test_the_life_of_an_environment(master, ec2):
    """plan, apply, apply again, drift, destroy: each with its exit code and its data."""
    planned = master.run("environment.plan", "one", "--out=json")
    assert planned.code == 0, planned
    assert planned.json["counts"]["create"] > 3
    assert planned.json["changes_anything"] is True

    applied = master.run("environment.apply", "one", "--out=json")
    assert applied.code == 0, applied
    assert applied.json["failed"] == 0
    assert "+ one:vpc/main" in applied.stderr
    assert " ms" in applied.stderr

    again = master.call("environment.apply", "one")["return"]
    assert again["retcode"] == 0
    assert {outcome["action"] for outcome in again["outcomes"]} == {"keep"}

    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "tag:saltlick:environment", "Values": ["one"]}])["Vpcs"]
    ec2.create_tags(Resources=[vpc["VpcId"]], Tags=[{"Key": "Name", "Value": "my-own-idea"}])
    drifted = master.call("environment.drift", "one")["return"]
    assert drifted["drifted"] is True
    assert [action["address"] for action in drifted["actions"]] == ["one:vpc/main"]
    shown = master.call("environment.show", "one")["return"]
    assert shown["resources"]["one:vpc/main"]["id"] == vpc["VpcId"]

    refused = master.call("environment.destroy", "one")["return"]
    assert refused["retcode"] == 2
    assert "confirm=one" in refused["error"]
    assert {action["action"] for action in refused["actions"]} == {"delete"}, "it says what it would delete"
    destroyed = master.run("environment.destroy", "one", "confirm=one")
    assert destroyed.code == 0, destroyed
    assert "deleted" in destroyed.stdout
    assert not ec2.describe_vpcs(Filters=[{"Name": "tag:saltlick:environment", "Values": ["one"]}])["Vpcs"]


def test_people_read_a_plan(master):
    plain = master.run("environment.plan", "two")
    assert plain.code == 0, plain
    assert plain.stdout.startswith("two\n")
    assert "to create" in plain.stdout.splitlines()[-1]
    assert "\x1b" not in plain.stdout
    assert "\x1b[32m" in master.run("environment.plan", "two", "--force-color").stdout


def test_programs_get_data_and_nothing_else(master):
    assert not {"text", "outputter", "data"} & master.run("environment.validate", "two", "--out=json").json.keys()


def test_exit_codes(master):
    """What a CI job sees: a mistyped environment, an unsound pillar, somebody else's lock."""
    mistyped = master.run("environment.plan", "onee")
    assert mistyped.code == 2
    assert "onee" in mistyped.stdout
    assert "pillar_roots has one, two" in mistyped.stdout

    locks_of(master).take("one", reason="looking at it", mode=Mode.MANUAL)
    locked = master.run("environment.apply", "one", "--out=json")
    assert locked.code == 3
    assert "bob" in locked.json["error"]
    assert "looking at it" in locked.json["error"]

    master.pillar("two", "environment: {name: two, region: us-east-1, cidr: 300.0.0.0/16, zoness: [us-east-1a]}")
    unsound = master.run("environment.apply", "two", "--out=json")
    assert unsound.code == 2
    assert any("cidr" in problem for problem in unsound.json["problems"])
    assert any("zoness" in problem for problem in unsound.json["problems"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name an environment"),
        (("one", "two"), "one,two"),
        (("one", "prune=True", "replce=app-1"), "replce: is not an argument; there are replace, prune"),
    ],
)
def test_a_wrong_invocation_is_refused_with_a_code(master, arguments, words):
    """Salt by itself prints the manual and exits 0."""
    answer = master.call("environment.plan", *arguments)["return"]
    assert answer["retcode"] == 2
    assert words in answer["error"]


@pytest.mark.parametrize("typed", ["abc", "-1", "inf"])
def test_a_wait_that_is_no_number_is_refused_before_the_lock(master, typed):
    answer = master.call("environment.apply", "one", f"lock_wait={typed}")["return"]
    assert answer["retcode"] == 2
    assert f"lock_wait: {typed} is not a number of seconds" in answer["error"]


def test_a_pillar_that_does_not_render_is_no_empty_pillar(master):
    master.pillar("one", "environment: {{ nobody_knows.this }}")
    answer = master.call("environment.plan", "one")["return"]
    assert answer["retcode"] == 2
    assert "pillar of one" in answer["error"]


def test_an_environment_whose_pillar_does_not_reach_the_master_is_refused(master):
    (master.folder / "pillar/common/top.sls").write_text("{{ saltenv }}:\n  'nobody':\n    - environment\n")
    answer = master.call("environment.plan", "one")["return"]
    assert answer["retcode"] == 2
    assert "top file" in answer["error"]


def test_locking_by_hand(master):
    assert master.run("environment.lock", "one", "message=hands off").code == 0
    shown = master.call("environment.locked", "one")["return"]
    assert shown["locked"]["one"]["reason"] == "hands off"
    assert master.call("environment.plan", "one")["return"]["retcode"] == 0, "looking is free"
    assert master.call("environment.unlock", "one", "force=True", "reason=done")["return"]["retcode"] == 0
    trail = (master.folder / "var/cache/salt/master/saltlick/locks/audit.jsonl").read_text().splitlines()
    assert next(json.loads(line)["action"] for line in trail) == "taken"
    assert json.loads(trail[-1])["reason"] == "done"
    assert master.call("environment.locked", "one")["return"]["locked"]["one"] is None
    assert master.call("environment.lock", "one")["return"]["retcode"] == 2, "a lock by hand says why"


def test_what_happened_is_told_in_order_whichever_command_did_it(master):
    assert master.call("environment.history", "two")["return"]["jobs"] == []
    master.call("environment.lock", "one", "message=sale")
    refused = master.call("environment.apply", "one")["return"]
    assert refused["retcode"] == 3
    master.call("environment.unlock", "one", "force=True", "reason=over")
    assert master.call("environment.apply", "one")["return"]["retcode"] == 0
    assert master.call("environment.apply", "one", "replace=vpc/none")["return"]["retcode"] == 2
    told = master.call("environment.history", "one")["return"]["jobs"]
    assert [(job["feature"], job["action"], job["outcome"]) for job in reversed(told)] == [
        ("lock", "lock", "done"),
        ("lock", "unlock", "done"),
        ("environment", "apply", "done"),
        ("environment", "apply", "failed"),
    ]
    assert told[2]["reason"] == "over"
    assert "vpc/none" in told[0]["reason"]
    assert all(job["user"] and job["jid"] and job["ended"] >= job["began"] for job in told)
    shown = master.run("environment.history", "one", "limit=1")
    assert (shown.code, "environment apply" in shown.stdout, "lock unlock" in shown.stdout) == (0, True, False)
    assert master.call("environment.history", "one", "limit=x")["return"]["retcode"] == 2
    # `one` is in the AWS that all tests share: the orchestrations after this build it from nothing.
    assert master.call("environment.destroy", "one", "confirm=one")["return"]["retcode"] == 0


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"apply", "destroy", "lock", "unlock"}))
def test_every_answer_is_plain_data_with_both_codes(master, function):
    answer = master.call(f"environment.{function}", "two")
    assert answer["success"] is True, answer
    assert answer["return"]["retcode"] == 0
    assert not {"data", "text", "outputter"} & answer["return"].keys()
    assert json.loads(json.dumps(answer["return"])) == answer["return"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_refusal_is_plain_data_with_both_codes(master, function):
    """`success` is what an orchestration sees: Salt makes it of the context's code."""
    answer = master.call(f"environment.{function}", "twoo")
    assert answer["success"] is False
    assert answer["return"]["retcode"] == 2


def test_every_function_has_a_cli_example(master):
    docs = master.run("-d", "environment").stdout
    assert [name for name in FUNCTIONS if f"salt-run environment.{name} " not in docs] == []
