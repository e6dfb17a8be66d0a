"""The order in which things stop and start, and what a failure of each part leaves."""

from __future__ import annotations

import pytest
from support.offhours_world import OffHoursWorld, environment, hours

from saltlick.errors import AwsError
from saltlick.offhours import switch
from saltlick.offhours.ports import PowerState
from saltlick.offhours.schedule import OnOff
from saltlick.offhours.switch import OutcomeStatus
from saltlick.offhours.turns import ServiceType

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
    return {outcome.name: outcome.came.value for outcome in report.outcomes}


def test_off_is_out_of_traffic_then_application_then_database_and_on_is_the_other_way_round():
    world = OffHoursWorld()
    assert switch.switch(world.context, OnOff.OFF).complete
    assert world.calls == STOPPED
    world.calls.clear()
    assert switch.switch(world.context, OnOff.ON).complete
    assert world.calls == STARTED


def test_groups_of_one_tier_go_at_once():
    servers = {name: {**group, "tier": 1} for name, group in (("db", _group(1)), ("app", _group(2)))}
    world = OffHoursWorld(environment=environment(servers=servers))
    assert switch.switch(world.context, OnOff.OFF).complete
    assert [line.split()[0] for line in world.calls] == ["leave", "leave", "custodian", "custodian"]


def _group(count):
    return {"count": count, "type": "t3.small", "subnet": "public", "firewall": "app"}


def test_the_pillar_may_say_another_order():
    world = OffHoursWorld(hours=hours(stop_order=["db", "app"]))
    switch.switch(world.context, OnOff.OFF)
    switch.switch(world.context, OnOff.ON)
    assert [line for line in world.calls if not line.startswith("custodian")] == [
        "leave db test-db-1",
        "leave app test-app-1 test-app-2",
        "enter app test-app-1 test-app-2",
        "enter db test-db-1",
    ]


def test_scaling_groups_first_and_managed_databases_last():
    managed = {"pg": ServiceType.RDS, "workers": ServiceType.ASG}
    world = OffHoursWorld(hours=hours(covers={"rds": True, "asg": True}), managed=managed)
    world.put("pg", "")
    world.put("workers", "")
    assert switch.switch(world.context, OnOff.OFF).complete
    assert [line.split()[1] for line in world.calls if line.startswith("custodian")] == [
        "test-off-1-asg", "test-off-2-ec2-app", "test-off-3-ec2-db", "test-off-4-rds",
    ]  # fmt: skip
    world.calls.clear()
    assert switch.switch(world.context, OnOff.ON).complete
    assert [line.split()[1] for line in world.calls if line.startswith("custodian")] == [
        "test-on-1-rds", "test-on-2-ec2-db", "test-on-3-ec2-app", "test-on-4-asg",
    ]  # fmt: skip


def test_again_does_nothing_more():
    world = OffHoursWorld()
    switch.switch(world.context, OnOff.OFF)
    world.calls.clear()
    report = switch.switch(world.context, OnOff.OFF)
    assert (report.complete, world.calls) == (True, [])
    assert set(came(report).values()) == {"already"}


def test_a_start_that_was_cut_off_asks_those_that_run_already_too():
    """They may run and not be in traffic."""
    world = OffHoursWorld()
    assert switch.switch(world.context, OnOff.ON).complete
    assert world.calls == [line for line in STARTED if line.startswith("enter")]


def test_an_application_that_does_not_stop_keeps_its_servers_and_databases_on():
    world = OffHoursWorld(failing={"test-app-2": "exit code 1"})
    report = switch.switch(world.context, OnOff.OFF)
    assert not report.complete
    assert world.calls == ["leave app test-app-1 test-app-2"]
    assert came(report) == {"test-app-1": "left", "test-app-2": "failed", "db": "left"}


def test_an_application_does_not_start_before_its_databases_are_well():
    world = OffHoursWorld(failing={"test-db-1": "no connection"})
    world.all(PowerState.OFF)
    report = switch.switch(world.context, OnOff.ON)
    assert came(report) == {"test-db-1": "failed", "app": "left"}
    assert world.things["test-app-1"].power is PowerState.OFF


def test_a_server_that_aws_does_not_stop_is_named_with_what_was_seen():
    world = OffHoursWorld(stuck={"test-app-1"})
    report = switch.switch(world.context, OnOff.OFF)
    assert came(report) == {"test-app-1": "failed", "test-app-2": "done", "db": "left"}
    [failed] = report.failed
    assert "not so after 6" in failed.why
    assert "test-app-1 running" in failed.why


def test_a_custodian_that_fails_fails_its_turn():
    world = OffHoursWorld(broken="Cloud Custodian: exit code 2")
    report = switch.switch(world.context, OnOff.OFF)
    assert {outcome.why for outcome in report.failed} == {"Cloud Custodian: exit code 2"}
    assert came(report)["db"] == "left"


def test_what_must_not_be_touched_is_not_even_told_to_stop():
    world = OffHoursWorld()
    world.put("test-app-2", "app", never="its tag says that it is prod's")
    report = switch.switch(world.context, OnOff.OFF)
    assert world.calls[:2] == ["leave app test-app-1", "custodian test-off-1-ec2-app i-test-app-1"]
    assert came(report)["test-app-2"] == "never touched"
    assert report.complete, "what may be switched is"
    assert [outcome.name for outcome in report.failed] == ["test-app-2"]


def test_what_changes_hands_while_traffic_leaves_is_not_switched():
    world = OffHoursWorld()

    world.before_leave = lambda: world.put("test-app-2", "app", never="its tag says that it is prod's")
    report = switch.switch(world.context, OnOff.OFF)
    assert came(report)["test-app-2"] == "never touched"
    assert world.things["test-app-2"].power is PowerState.ON


def test_who_is_on_its_way_is_waited_for_and_not_told_again():
    world = OffHoursWorld()
    world.put("test-app-1", "app", PowerState.MOVING)
    world.before_custodian = lambda: world.put("test-app-1", "app", PowerState.OFF)
    assert switch.switch(world.context, OnOff.OFF).complete
    assert "custodian test-off-1-ec2-app i-test-app-2" in world.calls


def test_opted_out_is_left_alone():
    world = OffHoursWorld()
    world.put("test-db-1", "db", opted_out=True)
    report = switch.switch(world.context, OnOff.OFF)
    assert (report.complete, came(report)["test-db-1"]) == (True, "opted out")
    assert world.things["test-db-1"].power is PowerState.ON


def test_a_declared_server_that_is_not_there_is_missed_in_the_morning():
    world = OffHoursWorld()
    world.all(PowerState.OFF)
    del world.things["test-db-1"]
    report = switch.switch(world.context, OnOff.ON)
    assert came(report) == {"test-db-1": "missing", "app": "left"}
    assert not report.complete


def test_what_is_not_built_is_not_switched():
    world = OffHoursWorld()
    world.things.clear()
    for side in OnOff:
        report = switch.switch(world.context, side)
        assert (report.outcomes, report.complete) == ((), True)


def test_foreseen_is_what_is_done_and_changes_nothing():
    world = OffHoursWorld()
    world.put("test-app-2", "app", PowerState.OFF)
    report = switch.foresee(world.context, OnOff.OFF)
    assert came(report) == {"test-app-1": "due", "test-app-2": "already", "test-db-1": "due"}
    assert world.calls == []


def test_an_aws_that_says_no_while_waiting_fails_by_name():
    world = OffHoursWorld()

    def refuse():
        if any(line.startswith("custodian") for line in world.calls):
            raise AwsError("describe_instances", "UnauthorizedOperation", "no")

    world.before_look = refuse
    report = switch.switch(world.context, OnOff.OFF)
    of_servers = [outcome for outcome in report.outcomes if outcome.turn == "app" and outcome.name != "app"]
    assert {outcome.came for outcome in of_servers} == {OutcomeStatus.FAILED}
    assert "UnauthorizedOperation" in report.failed[0].why


@pytest.mark.parametrize("side", list(OnOff))
def test_every_outcome_can_be_said(side):
    world = OffHoursWorld(failing={"test-app-1": "boom"})
    outcomes = switch.switch(world.context, side).outcomes
    assert all(outcome.name in str(outcome) and outcome.came.value in str(outcome) for outcome in outcomes)
