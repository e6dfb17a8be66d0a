"""AWS as off-hours look at it: everything that looks like ours, and of each whether it really is.

A tag is what anybody may write; the network that an object stands in is not. So an object counts as the environment's when its
own tag says so *and* it stands in a VPC of the environment; what only looks like it is told, and never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saltlick.engine.resource import TAG_ENVIRONMENT, TAG_NAME
from saltlick.environment.pillar import layout
from saltlick.offhours.policies import LAUNCH
from saltlick.offhours.ports import PowerState, SwitchedObject
from saltlick.offhours.turns import ServiceType, Turn

if TYPE_CHECKING:
    from saltlick.engine.ports import Cloud, Reading
    from saltlick.environment.pillar import Environment
    from saltlick.offhours.pillar import OffHours

Raw = Mapping[str, Any]
Tags = Mapping[str, str]

GONE = frozenset({"shutting-down", "terminated"})
_EC2 = {"running": PowerState.ON, "stopped": PowerState.OFF}
_RDS = {"available": PowerState.ON, "stopped": PowerState.OFF}
NETWORK = "it stands in a network that is not {environment}'s, whatever its tags say"
CLUSTERED = "AWS stops and starts it with its cluster or its replicas only"


class AwsAccount:
    """An `Account` over AWS's API.

    IAM: ec2:DescribeInstances, ec2:DescribeVpcs; for RDS rds:DescribeDBInstances; for Auto Scaling groups
    autoscaling:DescribeAutoScalingGroups and ec2:DescribeSubnets.
    """

    def __init__(self, cloud: Cloud, environment: Environment, hours: OffHours) -> None:
        self._cloud = cloud
        self._environment = environment
        self._tag = hours.tag.lower()

    def look(self, turn: Turn) -> tuple[SwitchedObject, ...]:
        """Fresh answers each time. Source: EC2 DescribeInstances, RDS DescribeDBInstances, DescribeAutoScalingGroups."""
        reading = self._cloud.reading()
        ways = {ServiceType.EC2: self._servers, ServiceType.RDS: self._databases, ServiceType.ASG: self._scaled}
        return tuple(sorted(ways[turn.service](reading, turn), key=lambda thing: (thing.name, thing.id)))

    def _servers(self, reading: Reading, turn: Turn) -> Iterator[SwitchedObject]:
        groups = {name: group for group in turn.groups for name in layout.server_names(self._environment, group)}
        asked = [{"Name": f"tag:{TAG_NAME}", "Values": sorted(groups)}]
        networks = self._networks(reading)
        for reservation in reading.read("ec2", "describe_instances", "Reservations", Filters=asked):
            for raw in reservation["Instances"]:
                tags, state = _tags(raw.get("Tags")), raw["State"]["Name"]
                name = tags.get(TAG_NAME, "")
                if name in groups and state not in GONE and self._looks_ours(tags, raw.get("VpcId"), networks):
                    yield SwitchedObject(
                        id=raw["InstanceId"],
                        name=name,
                        group=groups[name],
                        power=_EC2.get(state, PowerState.MOVING),
                        state=state,
                        never=self._never(tags, [raw.get("VpcId")], networks),
                        opted_out=self._opted_out(tags),
                    )

    def _databases(self, reading: Reading, _turn: Turn) -> Iterator[SwitchedObject]:
        networks = self._networks(reading)
        for raw in reading.read("rds", "describe_db_instances", "DBInstances"):
            tags, state = _tags(raw.get("TagList")), raw["DBInstanceStatus"]
            if tags.get(TAG_ENVIRONMENT) != self._environment.name or state == "deleting":
                continue
            network = raw.get("DBSubnetGroup", {}).get("VpcId")
            yield SwitchedObject(
                id=raw["DBInstanceIdentifier"],
                name=raw["DBInstanceIdentifier"],
                power=_RDS.get(state, PowerState.MOVING),
                state=state,
                never=self._never(tags, [network], networks) or (CLUSTERED if _clustered(raw) else ""),
                opted_out=self._opted_out(tags),
            )

    def _scaled(self, reading: Reading, _turn: Turn) -> Iterator[SwitchedObject]:
        subnets = self._subnets(reading)
        for raw in reading.read("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"):
            tags = _tags(raw.get("Tags"))
            if tags.get(TAG_ENVIRONMENT) != self._environment.name or raw.get("Status"):
                continue
            places = [place.strip() for place in raw.get("VPCZoneIdentifier", "").split(",")]
            suspended = any(process["ProcessName"] == LAUNCH for process in raw.get("SuspendedProcesses", ()))
            yield SwitchedObject(
                id=raw["AutoScalingGroupName"],
                name=raw["AutoScalingGroupName"],
                power=PowerState.OFF if suspended else PowerState.ON,
                state="suspended" if suspended else "in service",
                never=self._never(tags, places, subnets),
                opted_out=self._opted_out(tags),
            )

    def _looks_ours(self, tags: Tags, network: str | None, networks: frozenset[str]) -> bool:
        """By either: what says so and is not, and what stands among ours and says otherwise, are both worth a word."""
        return tags.get(TAG_ENVIRONMENT) == self._environment.name or network in networks

    def _never(self, tags: Tags, places: Sequence[str | None], ours: frozenset[str]) -> str:
        """Why an object must not be touched; empty when it may."""
        says = tags.get(TAG_ENVIRONMENT)
        if says != self._environment.name:
            return f"its tag says that it is {says}'s" if says else f"it has no tag {TAG_ENVIRONMENT}"
        if not places or not ours.issuperset(places):
            return NETWORK.format(environment=self._environment.name)
        return ""

    def _opted_out(self, tags: Tags) -> bool:
        """As Custodian reads it: neither the key's case nor the value's matters."""
        return any(key.lower() == self._tag and value.strip("'\" ").lower() == "off" for key, value in tags.items())

    def _networks(self, reading: Reading) -> frozenset[str]:
        return self._mine(reading.read("ec2", "describe_vpcs", "Vpcs", Filters=self._by_tag()), "VpcId")

    def _subnets(self, reading: Reading) -> frozenset[str]:
        """Subnets of the environment's VPCs: by where they are, not by what they say."""
        networks = self._networks(reading)
        subnets = reading.read("ec2", "describe_subnets", "Subnets", Filters=self._by_tag())
        return self._mine((raw for raw in subnets if raw["VpcId"] in networks), "SubnetId")

    def _by_tag(self) -> list[dict[str, Any]]:
        return [{"Name": f"tag:{TAG_ENVIRONMENT}", "Values": [self._environment.name]}]

    def _mine(self, subnets: Iterable[Raw], key: str) -> frozenset[str]:
        """Filters are not trusted alone: the tags in the answer decide."""
        return frozenset(
            raw[key] for raw in subnets if _tags(raw.get("Tags")).get(TAG_ENVIRONMENT) == self._environment.name
        )


def _tags(raw: Sequence[Raw] | None) -> Tags:
    return {tag["Key"]: tag.get("Value", "") for tag in raw or ()}


def _clustered(raw: Raw) -> bool:
    """Source: RDS, "Stopping an Amazon RDS DB instance temporarily", limitations."""
    replicas = ("DBClusterIdentifier", "ReadReplicaDBInstanceIdentifiers", "ReadReplicaSourceDBInstanceIdentifier")
    return any(raw.get(key) for key in replicas)
