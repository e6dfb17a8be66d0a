"""What is never switched off: servers in another network, servers that opt out, production."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from support.commands import run_typed
from support.offhours_estate import (
    APPS,
    FRIDAY_EVENING,
    LIVE,
    InstantCustodian,
    RecordingApplication,
    instances,
    locks,
    opts,
    record,
    run,
    running,
    tag,
)

from saltlick.commands.offhours import commands, context
from saltlick.offhours import policies
from saltlick.offhours.schedule import OnOff
from saltlick.offhours.turns import ServiceType, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def disguised(master, aws) -> Iterator[str]:
    """A server of production, in production's network, with every tag of a server of `night`."""
    other = next(one for one in instances(aws) if tag(one, "Name") == "live-app-1")
    made = aws("ec2").run_instances(
        ImageId=other["ImageId"], MinCount=1, MaxCount=1, SubnetId=other["SubnetId"], InstanceType="t3.small"
    )["Instances"][0]["InstanceId"]
    words = {"Name": "night-app-1", "saltlick:environment": "night", "saltlick_offhours": "on"}
    aws("ec2").create_tags(Resources=[made], Tags=[{"Key": key, "Value": value} for key, value in words.items()])
    yield made
    aws("ec2").terminate_instances(InstanceIds=[made])


def state_of(aws: Any, instance: str) -> str:
    return str(
        aws("ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]
    )


def test_a_server_in_productions_network_is_never_touched_whatever_its_tags_say(master, aws, disguised):
    retcode, result, text = run(master, FRIDAY_EVENING)
    assert state_of(aws, disguised) == "running"
    assert retcode == 4
    assert "stands in a network that is not night's" in text
    assert {one["name"] for one in result["outcomes"] if one["came"] == "done"} == APPS | {"night-db-1"}
    assert record(master).done is not None, "what may be switched is off: nothing is left to do"


def test_custodians_own_filters_leave_it_alone_too(master, aws, disguised):
    """Even where our own look were to fail: every id of the account in a policy, and only the right ones go."""
    found = context.offhours_environment(opts(master), "night")
    everything = [one["InstanceId"] for one in instances(aws)]
    for side in (OnOff.OFF, OnOff.ON):
        made = policies.now(
            found.hours, found.environment, side, Turn(ServiceType.EC2, ("app",)), {"app": [*everything, disguised]}
        )
        acted = context.custodian_of(opts(master), found).run(made)
        names = {one["InstanceId"]: tag(one, "Name") for one in instances(aws)}
        assert {names[one] for ids in acted.values() for one in ids} == APPS
        assert disguised not in {one for ids in acted.values() for one in ids}
        assert state_of(aws, disguised) == "running"
        assert running(aws) >= LIVE


def test_standing_policies_leave_it_alone_too(master, aws, disguised):
    """As Custodian would run them by itself, at an hour that is now."""
    found = context.offhours_environment(opts(master), "night")
    for one in (made := policies.standing(found.hours, found.environment)):
        one["filters"] = [each for each in one["filters"] if each["type"] not in ("offhour", "onhour")]
        one["filters"].append(
            {"type": "offhour", "offhour": datetime.now(timezone.utc).hour, "default_tz": "utc", "weekends": False,
             "tag": "saltlick_offhours", "opt-out": True}
        )  # fmt: skip
    context.custodian_of(opts(master), found).run([one for one in made if "-off-" in one["name"]])
    assert state_of(aws, disguised) == "running"
    assert running(aws) == LIVE | {"night-app-1"}  # the disguised one has that name


def test_a_tag_that_changes_at_the_last_moment_counts(master, aws):
    [server] = [one["InstanceId"] for one in instances(aws) if tag(one, "Name") == "night-app-2"]
    now_live = [{"Key": "saltlick:environment", "Value": "live"}]
    application = RecordingApplication()
    application.when["leave night-app-1 night-app-2"] = lambda: aws("ec2").create_tags(
        Resources=[server], Tags=now_live
    )
    try:
        retcode, result, _ = run(master, FRIDAY_EVENING, application, InstantCustodian(aws))
    finally:
        aws("ec2").create_tags(Resources=[server], Tags=[{"Key": "saltlick:environment", "Value": "night"}])
    assert retcode == 4
    assert "night-app-2: never touched: its tag says that it is live's" in result["error"]
    assert running(aws) == LIVE | {"night-app-2"}


def test_a_server_that_opts_out_stays_on(master, aws):
    [server] = [one["InstanceId"] for one in instances(aws) if tag(one, "Name") == "night-app-2"]
    aws("ec2").create_tags(Resources=[server], Tags=[{"Key": "saltlick_offhours", "Value": "OFF"}])
    retcode, _, text = run(master, FRIDAY_EVENING, custodian=InstantCustodian(aws))
    assert (retcode, "night-app-2: opted out: by its tag saltlick_offhours" in text) == (0, True)
    assert running(aws) == LIVE | {"night-app-2"}


@pytest.mark.parametrize("asked", ["run", "stop", "start", "status", "policies", "validate", "keep_on"])
def test_production_is_refused_by_every_command(master, aws, asked):
    typed = {"until": "23:00"} if asked == "keep_on" else {}
    answer = run_typed(getattr(commands, asked), opts(master), "live", **typed)
    assert answer.retcode == 2
    assert "live is marked production: it is never switched off" in answer.result["error"]
    assert running(aws) >= LIVE
    assert locks(master).read("live") is None


def test_production_is_refused_in_disguise(master, aws):
    """By another name, by pillar given along, by pillar that has no off-hours, in an orchestration."""
    assert run_typed(commands.stop, opts(master), "night,live").retcode == 2
    result = master.call("offhours.stop", "live", 'pillar={"environment": {"production": false}}')["return"]
    assert result["retcode"] == 2
    assert "pillar: is not an argument" in result["error"]
    result = master.call(
        "state.orchestrate", "orch.offhours", "pillarenv=live", 'pillar={"environment": {"production": false}}'
    )
    [state] = next(iter(result["return"]["data"].values())).values()
    assert (state["result"], "marked production" in state["comment"]) == (False, True)
    (master.folder / "pillar/common/offhours.sls").write_text("")
    assert "marked production" in run_typed(commands.stop, opts(master), "live").result["error"]
    assert running(aws) >= LIVE
