"""Databases and Auto Scaling groups of AWS go off with their environment; the IAM policy allows it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
import requests
from support.offhours_estate import FRIDAY_EVENING, HOURS, opts, run, tag

from saltlick.commands.offhours import context
from saltlick.kinds.iam_policy import OFF_HOURS, policy
from saltlick.offhours import policies
from saltlick.offhours.schedule import OnOff
from saltlick.offhours.turns import ServiceType, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def managed(master, aws) -> Iterator[dict[str, str]]:
    """A database and a group of each environment, tagged; and one of `live` that says it were `night`'s."""
    subnets = {
        tag(one, "saltlick:environment"): one["SubnetId"]
        for one in aws("ec2").describe_subnets()["Subnets"]
        if one.get("Tags")
    }
    rds, asg = aws("rds"), aws("autoscaling")
    asg.create_launch_configuration(LaunchConfigurationName="plain", ImageId="ami-12c6146b", InstanceType="t3.small")
    for name, says, where in (
        ("night-pg", "night", "night"),
        ("live-pg", "live", "live"),
        ("false-pg", "night", "live"),
    ):
        tags = [{"Key": "saltlick:environment", "Value": says}]
        rds.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="x", SubnetIds=[subnets[where]])
        rds.create_db_instance(
            DBInstanceIdentifier=name, DBInstanceClass="db.t3.small", Engine="postgres", DBSubnetGroupName=name, Tags=tags,
            MasterUsername="x", MasterUserPassword="xxxxxxxx", AllocatedStorage=10,
        )  # fmt: skip
        asg.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=1, MaxSize=1, DesiredCapacity=1, LaunchConfigurationName="plain",
            VPCZoneIdentifier=subnets[where], Tags=[{**tags[0], "ResourceId": name, "PropagateAtLaunch": False}],
        )  # fmt: skip
    (master.folder / "pillar/common/offhours.sls").write_text(HOURS + "  covers: {ec2: false, rds: true, asg: true}\n")
    yield subnets
    for name in ("night-pg", "live-pg", "false-pg"):
        asg.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        rds.delete_db_subnet_group(DBSubnetGroupName=name)
    asg.delete_launch_configuration(LaunchConfigurationName="plain")


def managed_states(aws: Any) -> dict[str, tuple[str, bool]]:
    databases = {
        one["DBInstanceIdentifier"]: one["DBInstanceStatus"]
        for one in aws("rds").describe_db_instances()["DBInstances"]
    }
    groups = {
        one["AutoScalingGroupName"]: bool(one["SuspendedProcesses"])
        for one in aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    }
    return {name: (databases[name], groups[name]) for name in databases}


def test_databases_and_groups_of_aws_go_too_and_only_ours(master, aws, managed):
    retcode, result, _ = run(master, FRIDAY_EVENING)
    off, on = ("stopped", True), ("available", False)
    assert managed_states(aws) == {"night-pg": off, "live-pg": on, "false-pg": on}
    done = [one["turn"] for one in result["outcomes"] if one["came"] == "done"]
    assert done == ["Auto Scaling groups", "RDS"]
    assert {one["name"] for one in result["outcomes"] if one["came"] == "never touched"} == {"false-pg"}
    assert retcode == 4

    found = context.offhours_environment(opts(master), "night")
    everything = {"": list(managed_states(aws))}
    made = [
        one
        for service in (ServiceType.RDS, ServiceType.ASG)
        for one in policies.now(found.hours, found.environment, OnOff.ON, Turn(service), everything)
    ]
    made[1]["actions"] = [{"type": "resume", "delay": 0}]  # Custodian's own pause is half a minute
    assert list(context.custodian_of(opts(master), found).run(made).values()) == [("night-pg",), ("night-pg",)]
    assert managed_states(aws) == {"night-pg": on, "live-pg": on, "false-pg": on}


def action_of(asked: dict[str, Any]) -> str:
    """The IAM action of a recorded request."""
    service = asked["headers"]["Authorization"].split("/")[3]
    body = base64.b64decode(asked["body"]).decode() if asked["body_encoded"] else asked["body"]
    return f"{service}:{parse_qs(body)['Action'][0]}"


def test_the_masters_policy_allows_what_custodian_and_we_ask(master, aws, managed, moto, monkeypatch):
    """By what moto was asked, in everything that is switched off."""
    monkeypatch.chdir(master.folder)  # where moto, which runs in this process, writes its recording
    (master.folder / "pillar/common/offhours.sls").write_text(HOURS + "  covers: {rds: true, asg: true}\n")
    requests.post(f"{moto}/moto-api/recorder/start-recording", timeout=20)
    try:
        run(master, FRIDAY_EVENING)
    finally:
        requests.post(f"{moto}/moto-api/recorder/stop-recording", timeout=20)
    found = {action_of(json.loads(line)) for line in Path("moto_recording").read_text().splitlines()}
    allowed = {action for each in policy()["Statement"] for action in each["Action"]}
    assert found - {"sts:GetCallerIdentity"} <= allowed  # which needs no permission
    assert found - {"sts:GetCallerIdentity"} == {
        action for action in OFF_HOURS if not re.search(":(Start|Resume)", action)
    }
