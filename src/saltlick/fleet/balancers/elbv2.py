"""An application load balancer of the environment: servers are targets of its target group.

Source: ELBv2 RegisterTargets, DeregisterTargets, DescribeTargetHealth; User Guide, "Deregistration delay": a target is shown as
draining until the delay has passed (`drain_s` of the environment's balancer), even when its last request ended long before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from saltlick.engine.ports import Cloud
from saltlick.engine.resource import TAG_ENVIRONMENT, TAG_NAME
from saltlick.errors import AwsError
from saltlick.fleet.balancers.context import BalancerContext, Watch, drained, every, restored
from saltlick.fleet.balancers.pillar import Elbv2Spec
from saltlick.fleet.ports import Reply, Seen, Traffic

SERVICE = "elbv2"
LATE_S = 15
"""How much longer than its own delay AWS may take to say that a target has left."""
NOT_IN_USE = "Target.NotInUse"
NO_INSTANCE = "there is no instance of that name"
ALIVE = ("running", "pending", "stopping", "stopped", "shutting-down")
"""States of instances that are there, those that are wanted most first."""

_TRAFFIC = {
    "healthy": Traffic.IN,
    "unavailable": Traffic.IN,  # health checks are off
    "draining": Traffic.DRAINING,
    "unhealthy.draining": Traffic.DRAINING,
    "initial": Traffic.UNHEALTHY,
    "unhealthy": Traffic.UNHEALTHY,
    "unused": Traffic.OUT,
}


@dataclass(frozen=True, slots=True)
class _Instance:
    id: str
    state: str


class Elbv2Balancer:
    """A `Balancer` over AWS's API: a server that is dead can be taken out as well as any other."""

    def __init__(self, spec: Elbv2Spec, ground: BalancerContext) -> None:
        self._spec = spec
        self._ground = ground

    def look(self, servers: Sequence[str]) -> Mapping[str, Seen]:
        """IAM: elasticloadbalancing:DescribeTargetGroups, elasticloadbalancing:DescribeTargetHealth, ec2:DescribeInstances."""
        try:
            return self._see(servers, self._instances(servers))
        except AwsError as error:
            return dict.fromkeys(servers, Seen(Traffic.UNKNOWN, str(error)))

    def drain(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        """IAM: elasticloadbalancing:DeregisterTargets, and what `look` needs."""
        try:
            there = self._instances(servers)
            self._deregister({instance.id for instance in there.values()})
        except AwsError as error:
            return every(servers, Reply(False, error=str(error)))
        return drained(
            self._watch(there), servers, lambda seen: seen.traffic is Traffic.OUT, self._spec.drain_s + LATE_S
        )

    def restore(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        """IAM: elasticloadbalancing:RegisterTargets, and what `look` needs."""
        try:
            there = self._instances(servers)
            running = [server for server in servers if server in there and there[server].state == "running"]
            self._register([there[server].id for server in running])
        except AwsError as error:
            return every(servers, Reply(False, error=str(error)))
        replies = restored(self._watch(there), running, self._spec.restore_s, hopeless=NOT_IN_USE)
        return {server: replies.get(server) or _not_running(there.get(server)) for server in servers}

    def _watch(self, there: Mapping[str, _Instance]) -> Watch:
        return Watch(lambda servers: self._see(servers, there), self._ground.clock)

    def _see(self, servers: Sequence[str], there: Mapping[str, _Instance]) -> dict[str, Seen]:
        health = self._health()
        return {server: _seen(there.get(server), health) for server in servers}

    def _health(self) -> dict[str, Mapping[str, Any]]:
        """By instance id. Of a target on several ports the one that is furthest from being out."""
        ranked = sorted(self._targets(), key=lambda target: target["TargetHealth"]["State"] != "unused")
        return {target["Target"]["Id"]: target for target in ranked}

    def _targets(self) -> Sequence[Mapping[str, Any]]:
        arn = self._group["TargetGroupArn"]
        answer = self._cloud.call(SERVICE, "describe_target_health", TargetGroupArn=arn)
        targets: Sequence[Mapping[str, Any]] = answer["TargetHealthDescriptions"]
        return targets

    def _deregister(self, ids: set[str]) -> None:
        """Those that are targets now: one that has left already need not leave again."""
        targets = [
            {"Id": target["Target"]["Id"], "Port": target["Target"]["Port"]}
            for target in self._targets()
            if target["Target"]["Id"] in ids and _TRAFFIC.get(target["TargetHealth"]["State"]) is not Traffic.DRAINING
        ]
        if targets:
            self._cloud.call(
                SERVICE, "deregister_targets", TargetGroupArn=self._group["TargetGroupArn"], Targets=targets
            )

    def _register(self, ids: Sequence[str]) -> None:
        targets = [{"Id": instance_id, "Port": self._group["Port"]} for instance_id in ids]
        if targets:
            self._cloud.call(SERVICE, "register_targets", TargetGroupArn=self._group["TargetGroupArn"], Targets=targets)

    def _instances(self, servers: Sequence[str]) -> dict[str, _Instance]:
        """Server → its instance; of two with one name (a replacement under way) the one that runs."""
        filters = [
            {"Name": f"tag:{TAG_ENVIRONMENT}", "Values": [self._ground.environment]},
            {"Name": "instance-state-name", "Values": list(ALIVE)},
        ]
        instances: dict[str, _Instance] = {}
        reservations = self._cloud.reading().read("ec2", "describe_instances", "Reservations", Filters=filters)
        everyone = [instance for reservation in reservations for instance in reservation["Instances"]]
        for instance in sorted(everyone, key=lambda instance: ALIVE.index(instance["State"]["Name"])):
            name = next((tag["Value"] for tag in instance.get("Tags", ()) if tag["Key"] == TAG_NAME), "")
            if name in servers:
                instances.setdefault(name, _Instance(instance["InstanceId"], instance["State"]["Name"]))
        return instances

    @cached_property
    def _cloud(self) -> Cloud:
        return self._ground.cloud()

    @cached_property
    def _group(self) -> Mapping[str, Any]:
        """The target group, which has the balancer's name. Raises: AwsError when there is none."""
        name = f"{self._ground.environment}-{self._spec.name}"
        group: Mapping[str, Any] = self._cloud.call(SERVICE, "describe_target_groups", Names=[name])["TargetGroups"][0]
        return group


def _seen(instance: _Instance | None, health: Mapping[str, Mapping[str, Any]]) -> Seen:
    if instance is None:
        return Seen(Traffic.OUT, NO_INSTANCE)
    if instance.id not in health:
        return Seen(Traffic.OUT, "not registered")
    target_health = health[instance.id]["TargetHealth"]
    detail = " ".join(target_health[key] for key in ("Reason", "Description") if target_health.get(key))
    return Seen(
        _TRAFFIC.get(target_health["State"], Traffic.UNKNOWN),
        f"{target_health['State']}{f': {detail}' if detail else ''}",
    )


def _not_running(instance: _Instance | None) -> Reply:
    reason = NO_INSTANCE if instance is None else f"its instance {instance.id} is {instance.state}, not running"
    return Reply(False, error=f"cannot be put into traffic: {reason}")
