"""The order in which things stop and start, and what a failure of each part leaves."""

from __future__ import annotations

import pytest
from support.offhours_world import Sky, environment, hours

from saltlick.errors import AwsError
from saltlick.offhours import switch
from saltlick.offhours.ports import PowerState
from saltlick.offhours.schedule import OnOff
from saltlick.offhours.switch import OutcomeStatus

STOPPED = [
    "leave app test-app-1 test-app-2",
    "custodian test-off-1-ec2-app i-test-app-1 i-test-app-2",
    "leave db test-db-1",
    "custodian test-off-2-ec2-db i-test-db-1",
]
STARTED = [
    "custodian test-on-1-ec2-db i-test-db-1",
    "enter db test-db-1",
    "custodian test-on-2-ec2-app i-test-app-1 i-test-app-2",
    "enter app test-app-1 test-app-2",
]


def came(report: switch.SwitchReport) -> dict[str, str]:
    return {one.name: one.came.value for one in report.outcomes}


def test_off_is_out_of_traffic_then_application_then_database_and_on_is_the_other_way_round():
    sky = Sky()
    assert switch.switch(sky.world, OnOff.OFF).complete
    assert sky.diary == STOPPED
    sky.diary.clear()
    assert switch.switch(sky.world, OnOff.ON).complete
    assert sky.diary == STARTED


def test_groups_of_one_tier_go_at_once():
    servers = {name: {**group, "tier": 1} for name, group in (("db", _group(1)), ("app", _group(2)))}
    sky = Sky(environment=environment(servers=servers))
    assert switch.switch(sky.world, OnOff.OFF).complete
    assert [line.split()[0] for line in sky.diary] == ["leave", "leave", "custodian", "custodian"]


def _group(count):
    return {"count": count, "type": "t3.small", "subnet": "public", "firewall": "app"}


def test_the_pillar_may_say_another_order():
    sky = Sky(hours=hours(stop_order=["db", "app"]))
    switch.switch(sky.world, OnOff.OFF)
    switch.switch(sky.world, OnOff.ON)
    assert [line for line in sky.diary if not line.startswith("custodian")] == [
        "leave db test-db-1",
        "leave app test-app-1 test-app-2",
        "enter app test-app-1 test-app-2",
        "enter db test-db-1",
    ]


def test_scaling_groups_first_and_managed_databases_last():
    sky = Sky(hours=hours(covers={"rds": True, "asg": True}))
    sky.put("pg", "")
    sky.put("workers", "")
    sky.look = lambda turn: tuple(
        one
        for one in sky.things.values()
        if one.name == {"rds": "pg", "asg": "workers"}.get(turn.service.value) or one.group in turn.groups
    )
    assert switch.switch(sky.world, OnOff.OFF).complete
    assert [line.split()[1] for line in sky.diary if line.startswith("custodian")] == [
        "test-off-1-asg", "test-off-2-ec2-app", "test-off-3-ec2-db", "test-off-4-rds",
    ]  # fmt: skip
    sky.diary.clear()
    assert switch.switch(sky.world, OnOff.ON).complete
    assert [line.split()[1] for line in sky.diary if line.startswith("custodian")] == [
        "test-on-1-rds", "test-on-2-ec2-db", "test-on-3-ec2-app", "test-on-4-asg",
    ]  # fmt: skip


def test_again_does_nothing_more():
    sky = Sky()
    switch.switch(sky.world, OnOff.OFF)
    sky.diary.clear()
    report = switch.switch(sky.world, OnOff.OFF)
    assert (report.complete, sky.diary) == (True, [])
    assert set(came(report).values()) == {"already"}


def test_a_start_that_was_cut_off_asks_those_that_run_already_too():
    """They may run and not be in traffic."""
    sky = Sky()
    assert switch.switch(sky.world, OnOff.ON).complete
    assert sky.diary == [line for line in STARTED if line.startswith("enter")]


def test_an_application_that_does_not_stop_keeps_its_servers_and_databases_on():
    sky = Sky(failing={"test-app-2": "exit code 1"})
    report = switch.switch(sky.world, OnOff.OFF)
    assert not report.complete
    assert sky.diary == ["leave app test-app-1 test-app-2"]
    assert came(report) == {"test-app-1": "left", "test-app-2": "failed", "db": "left"}


def test_an_application_does_not_start_before_its_databases_are_well():
    sky = Sky(failing={"test-db-1": "no connection"})
    sky.all(PowerState.OFF)
    report = switch.switch(sky.world, OnOff.ON)
    assert came(report) == {"test-db-1": "failed", "app": "left"}
    assert sky.things["test-app-1"].power is PowerState.OFF


def test_a_server_that_aws_does_not_stop_is_named_with_what_was_seen():
    sky = Sky(stuck={"test-app-1"})
    report = switch.switch(sky.world, OnOff.OFF)
    assert came(report) == {"test-app-1": "failed", "test-app-2": "done", "db": "left"}
    [failed] = report.failed
    assert "not so after 6" in failed.why
    assert "test-app-1 running" in failed.why


def test_a_custodian_that_fails_fails_its_turn():
    sky = Sky(broken="Cloud Custodian: exit code 2")
    report = switch.switch(sky.world, OnOff.OFF)
    assert {one.why for one in report.failed} == {"Cloud Custodian: exit code 2"}
    assert came(report)["db"] == "left"


def test_what_must_not_be_touched_is_not_even_told_to_stop():
    sky = Sky()
    sky.put("test-app-2", "app", never="its tag says that it is prod's")
    report = switch.switch(sky.world, OnOff.OFF)
    assert sky.diary[:2] == ["leave app test-app-1", "custodian test-off-1-ec2-app i-test-app-1"]
    assert came(report)["test-app-2"] == "never touched"
    assert report.complete, "what may be switched is"
    assert [one.name for one in report.failed] == ["test-app-2"]


def test_what_changes_hands_while_traffic_leaves_is_not_switched():
    sky = Sky()

    def stolen(group, servers):
        sky.put("test-app-2", "app", never="its tag says that it is prod's")
        return Sky.leave(sky, group, servers)

    sky.leave = stolen
    report = switch.switch(sky.world, OnOff.OFF)
    assert came(report)["test-app-2"] == "never touched"
    assert sky.things["test-app-2"].power is PowerState.ON


def test_who_is_on_its_way_is_waited_for_and_not_told_again():
    sky = Sky()
    sky.put("test-app-1", "app", PowerState.MOVING)
    sky.before_custodian = lambda: sky.put("test-app-1", "app", PowerState.OFF)
    assert switch.switch(sky.world, OnOff.OFF).complete
    assert "custodian test-off-1-ec2-app i-test-app-2" in sky.diary


def test_opted_out_is_left_alone():
    sky = Sky()
    sky.put("test-db-1", "db", opted_out=True)
    report = switch.switch(sky.world, OnOff.OFF)
    assert (report.complete, came(report)["test-db-1"]) == (True, "opted out")
    assert sky.things["test-db-1"].power is PowerState.ON


def test_a_declared_server_that_is_not_there_is_missed_in_the_morning():
    sky = Sky()
    sky.all(PowerState.OFF)
    del sky.things["test-db-1"]
    report = switch.switch(sky.world, OnOff.ON)
    assert came(report) == {"test-db-1": "missing", "app": "left"}
    assert not report.complete


def test_what_is_not_built_is_not_switched():
    sky = Sky()
    sky.things.clear()
    for side in OnOff:
        report = switch.switch(sky.world, side)
        assert (report.outcomes, report.complete) == ((), True)


def test_foreseen_is_what_is_done_and_changes_nothing():
    sky = Sky()
    sky.put("test-app-2", "app", PowerState.OFF)
    report = switch.foresee(sky.world, OnOff.OFF)
    assert came(report) == {"test-app-1": "due", "test-app-2": "already", "test-db-1": "due"}
    assert sky.diary == []


def test_an_aws_that_says_no_while_waiting_fails_by_name():
    sky = Sky()
    looks = []

    def look(turn):
        looks.append(turn)
        if any(line.startswith("custodian") for line in sky.diary):
            raise AwsError("describe_instances", "UnauthorizedOperation", "no")
        return Sky.look(sky, turn)

    sky.look = look
    report = switch.switch(sky.world, OnOff.OFF)
    assert {one.came for one in report.outcomes if one.turn == "app" and one.name != "app"} == {OutcomeStatus.FAILED}
    assert "UnauthorizedOperation" in report.failed[0].why


@pytest.mark.parametrize("side", list(OnOff))
def test_every_outcome_can_be_said(side):
    sky = Sky(failing={"test-app-1": "boom"})
    assert all(one.name in str(one) and one.came.value in str(one) for one in switch.switch(sky.world, side).outcomes)
