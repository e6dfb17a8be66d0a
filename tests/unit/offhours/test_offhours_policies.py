"""What is rendered for Cloud Custodian says everything that Custodian would otherwise guess, and guards itself."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from support.offhours_world import environment, hours

from saltlick.environment.pillar import parse_environment
from saltlick.offhours import policies
from saltlick.offhours.pillar import parse_offhours
from saltlick.offhours.schedule import OnOff
from saltlick.offhours.turns import ServiceType, Turn, turns

CHECKOUT = Path(__file__).parents[3]
ALL = {"rds": True, "asg": True}


def times(**change):
    return [one["filters"][-1] for one in policies.standing(hours(**change), environment())]


def test_the_example_is_what_the_pillar_of_test_renders_to():
    declared = parse_environment(
        yaml.safe_load((CHECKOUT / "pillar/test/environment.sls").read_text()), environment="test"
    )
    found = parse_offhours(yaml.safe_load((CHECKOUT / "pillar/test/offhours.sls").read_text()), declared)
    text = policies.as_yaml(policies.standing(found, declared), "test")
    assert (CHECKOUT / "custodian/test.yml").read_text() == text, "salt-run offhours.policies test > custodian/test.yml"


def test_each_side_has_policies_of_its_own_with_hour_and_zone_written_out():
    made = policies.standing(hours(covers=ALL), environment())
    assert [one["name"] for one in made] == [
        "test-off-1-asg", "test-off-2-ec2-app", "test-off-3-ec2-db", "test-off-4-rds",
        "test-on-1-rds", "test-on-2-ec2-db", "test-on-3-ec2-app", "test-on-4-asg",
    ]  # fmt: skip
    for one in made:
        side = "off" if "-off-" in one["name"] else "on"
        timer = one["filters"][-1]
        assert timer["type"] == f"{side}hour"
        assert timer[f"{side}hour"] == {"off": 19, "on": 7}[side]
        assert f"{'on' if side == 'off' else 'off'}hour" not in timer, "Custodian refuses the other one's key"
        assert {"default_tz": "Europe/Berlin", "opt-out": True, "tag": "saltlick_offhours"}.items() <= timer.items()
    assert [one["actions"] for one in made] == [
        [each] for each in ("suspend", "stop", "stop", "stop", "start", "start", "start", "resume")
    ]


def test_every_policy_is_bound_to_the_environments_tag_names_and_network():
    for one in policies.standing(hours(covers=ALL), environment()):
        mine = {"key": "tag:saltlick:environment", "op": "in", "value": ["test"]}
        assert {"type": "value", **mine} in one["filters"]
        network = {"type": "subnet", **mine, "operator": "and"} if "asg" in one["name"] else {"type": "vpc", **mine}
        assert network in one["filters"]
        names = [each["value"] for each in one["filters"] if each.get("key") == "tag:Name"]
        expected = {"app": [["test-app-1", "test-app-2"]], "db": [["test-db-1"]]}
        assert names == expected.get(one["name"].rpartition("-")[2], [])


@pytest.mark.parametrize("name", ["absent", "empty", "present", "not-null"])
def test_an_environment_whose_name_is_a_word_of_custodians_is_meant_as_a_name(name):
    """`value: absent` would match everything that has no tag at all."""
    raw = copy.deepcopy(yaml.safe_load((CHECKOUT / "pillar/test/environment.sls").read_text()))
    raw["environment"]["name"] = name
    for one in policies.standing(hours(covers=ALL), parse_environment(raw, environment=name)):
        values = [each.get("value") for each in one["filters"] if str(each.get("key", "")).startswith("tag:")]
        assert all(isinstance(value, list) for value in values)


@pytest.mark.parametrize(
    ("change", "off", "on"),
    [
        ({}, {"weekends": True}, {"weekends": True}),
        ({"off": "19:00", "on": "Mon-Sun 07:00"}, {"weekends": False}, {"weekends": False}),
        ({"off": "Fri 19:00", "on": "Mon 07:00"}, {"weekends-only": True}, {"weekends-only": True}),
        (
            {"off": "Mon,Wed 20:00", "on": "Tue-Thu 6:00"},
            {"weekends": False, "fallback-schedule": "off=[(m,20),(w,20)]"},
            {"weekends": False, "fallback-schedule": "on=[(t,6),(w,6),(h,6)]"},
        ),
    ],
)
def test_days_in_custodians_own_words_where_it_has_some(change, off, on):
    stop, *_, start = times(**change)
    assert off.items() <= stop.items()
    assert on.items() <= start.items()


def test_holidays_stand_in_every_policy():
    assert all(one["skip-days"] == ["2026-12-24", "2026-12-25"] for one in times(skip_days=["2026-12-24..2026-12-25"]))


def test_for_now_the_same_guards_for_exactly_these_objects_and_no_hour():
    plan = hours(covers=ALL)
    [turn] = [one for one in turns(plan, environment(), OnOff.OFF) if "app" in one.groups]
    [made] = policies.now(plan, environment(), OnOff.OFF, turn, {"app": ["i-2", "i-1"], "db": []})
    [standing] = [one for one in policies.standing(plan, environment()) if one["name"] == made["name"]]
    assert made["filters"][:-2] == standing["filters"][:-1]
    assert made["filters"][-2:] == [
        {"type": "value", "key": "InstanceId", "op": "in", "value": ["i-1", "i-2"]},
        {"type": "value", "key": "tag:saltlick_offhours", "op": "not-in", "value": ["off"], "value_type": "normalize"},
    ]


def test_names_are_such_as_custodian_takes():
    raw = copy.deepcopy(yaml.safe_load((CHECKOUT / "pillar/test/environment.sls").read_text()))
    raw["environment"]["servers"]["db"]["firewall"] = ["db"]
    raw["environment"]["servers"]["da--ta"] = raw["environment"]["servers"].pop("db")
    made = policies.standing(hours(), parse_environment(raw, environment="test"))
    assert "test-off-1-ec2-da-ta" in [one["name"] for one in made]


def test_what_is_suspended_is_told_by_its_launches():
    made = {one["name"]: one for one in policies.standing(hours(covers={"asg": True, "ec2": False}), environment())}
    question = {"type": "value", "key": "SuspendedProcesses[].ProcessName", "op": "contains", "value": "Launch"}
    assert {"not": [question]} in made["test-off-1-asg"]["filters"]
    assert question in made["test-on-1-asg"]["filters"]
    assert str(Turn(ServiceType.ASG)) == "Auto Scaling groups"
