"""The operator's commands by a real `salt-run` against moto: what they do, print and exit with. No master runs."""

from __future__ import annotations

import json
import os

import pytest

from saltlick.lock import Locks, Mode

pytestmark = pytest.mark.timeout(300)


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

    again = master.run("environment.apply", "one", "--out=json")
    assert again.code == 0
    assert {outcome["action"] for outcome in again.json["outcomes"]} == {"keep"}
    assert "ms" not in again.stderr

    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "tag:saltlick:environment", "Values": ["one"]}])["Vpcs"]
    ec2.create_tags(Resources=[vpc["VpcId"]], Tags=[{"Key": "Name", "Value": "my-own-idea"}])
    drifted = master.run("environment.drift", "one", "--out=json")
    assert drifted.json["drifted"] is True
    assert [action["address"] for action in drifted.json["actions"]] == ["one:vpc/main"]

    shown = master.run("environment.show", "one", "--out=json")
    assert shown.json["resources"]["one:vpc/main"]["id"] == vpc["VpcId"]

    refused = master.run("environment.destroy", "one", "--out=json")
    assert refused.code == 2
    assert "confirm=one" in refused.json["error"]

    destroyed = master.run("environment.destroy", "one", "confirm=one", "--out=json")
    assert destroyed.code == 0, destroyed
    assert not ec2.describe_vpcs(Filters=[{"Name": "tag:saltlick:environment", "Values": ["one"]}])["Vpcs"]


def test_people_read_a_plan_and_programs_get_data(master):
    for_people = master.run("environment.plan", "two")
    assert for_people.code == 0, for_people
    assert for_people.stdout.startswith("two\n")
    assert "+ 0 to create" not in for_people.stdout
    assert "to create" in for_people.stdout.splitlines()[-1]
    assert "\x1b" not in for_people.stdout
    in_colour = master.run("environment.plan", "two", "--force-color")
    assert "\x1b[32m" in in_colour.stdout
    data = master.run("environment.plan", "two", "--out=json").json
    assert not {"text", "outputter", "data"} & data.keys()


def test_a_mistyped_environment_is_a_sentence_with_the_known_ones(master):
    run = master.run("environment.plan", "onee")
    assert run.code == 2
    assert "onee" in run.stdout
    assert "pillar_roots has one, two" in run.stdout


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
    run = master.run("environment.plan", *arguments)
    assert run.code == 2
    assert words in run.stdout


def test_an_unsound_pillar_names_every_problem_and_changes_nothing(master):
    master.pillar("one", "environment: {name: one, region: us-east-1, cidr: 300.0.0.0/16, zoness: [us-east-1a]}")
    run = master.run("environment.apply", "one", "--out=json")
    assert run.code == 2
    assert len(run.json["problems"]) >= 2
    assert any("cidr" in problem for problem in run.json["problems"])
    assert any("zoness" in problem for problem in run.json["problems"])


def test_a_pillar_that_does_not_render_is_no_empty_pillar(master):
    master.pillar("one", "environment: {{ nobody_knows.this }}")
    run = master.run("environment.plan", "one", "--out=json")
    assert run.code == 2
    assert "pillar of one" in run.json["error"]


def test_an_environment_whose_pillar_does_not_reach_the_master_is_refused(master):
    (master.folder / "pillar/common/top.sls").write_text("{{ saltenv }}:\n  'nobody':\n    - environment\n")
    run = master.run("environment.plan", "one", "--out=json")
    assert run.code == 2
    assert "top file" in run.json["error"]


def test_a_locked_environment_exits_3_and_says_who(master):
    locks_of(master).take("one", reason="looking at it", mode=Mode.MANUAL)
    run = master.run("environment.apply", "one", "--out=json")
    assert run.code == 3
    assert "bob" in run.json["error"]
    assert "looking at it" in run.json["error"]
    assert master.run("environment.plan", "one").code == 0


def test_locking_by_hand(master):
    assert master.run("environment.lock", "one", "message=hands off").code == 0
    shown = master.run("environment.locked", "one", "--out=json").json
    assert shown["locked"]["one"]["reason"] == "hands off"
    assert master.run("environment.unlock", "one").code == 0
    trail = (master.folder / "var/cache/salt/master/saltlick/locks/audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["action"] for line in trail] == ["taken", "unlocked"]
    assert "is not locked" in master.run("environment.locked", "one").stdout


def test_every_function_answers_with_plain_data_and_both_codes(master, request, monkeypatch):
    """In one process, by the runner client: what an orchestration or the API gets."""
    import salt.runner

    for name, value in master.environ.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    client = salt.runner.RunnerClient(master.opts)
    request.addfinalizer(client.destroy)
    for function in ("plan", "drift", "show", "validate", "servers", "tiers", "locked"):
        answer = client.cmd(f"environment.{function}", ["two"], print_event=False, full_return=True)
        assert answer["success"] is True, answer
        assert answer["return"]["retcode"] == 0
        assert "data" not in answer["return"]
        assert "text" not in answer["return"]
        assert json.loads(json.dumps(answer["return"])) == answer["return"]
        refused = client.cmd(f"environment.{function}", ["twoo"], print_event=False, full_return=True)
        assert refused["success"] is False
        assert refused["return"]["retcode"] == 2
        assert client.context["retcode"] == 2


def test_docs_have_a_cli_example(master):
    docs = master.run("-d", "environment").stdout
    functions = "plan apply destroy show drift validate servers tiers lock unlock locked"
    for function in functions.split():
        assert f"salt-run environment.{function} " in docs
    assert os.linesep + "environment._" not in docs
