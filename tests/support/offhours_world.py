"""An environment with off-hours, and a world of fakes to switch it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from support.clock import FakeClock

from saltlick.environment.pillar import Environment, layout, parse_environment
from saltlick.errors import CustodianFailed
from saltlick.fleet.ports import Reply
from saltlick.offhours.pillar import OffHours
from saltlick.offhours.policies import Policy
from saltlick.offhours.ports import PowerState, SwitchedObject
from saltlick.offhours.switch import OffHoursContext
from saltlick.offhours.turns import ServiceType, Turn

ENVIRONMENT = {
    "environment": {
        "name": "test",
        "region": "us-east-1",
        "cidr": "10.20.0.0/16",
        "zones": ["us-east-1a", "us-east-1b"],
        "image": {"id": "ami-12c6146b"},
        "subnets": {"public": {"cidrs": ["10.20.0.0/24", "10.20.1.0/24"]}},
        "firewall": {"app": [{"from": "world", "tcp": 80}]},
        "servers": {
            "db": {"count": 1, "type": "t3.small", "subnet": "public", "firewall": "app"},
            "app": {"count": 2, "type": "t3.small", "subnet": "public", "firewall": "app"},
        },
        "salt": {"master": "127.0.0.1"},
    }
}
HOURS = {"timezone": "Europe/Berlin", "off": "Mon-Fri 19:00", "on": "Mon-Fri 07:00", "settle_s": 60}


def environment(**change: Any) -> Environment:
    return parse_environment({"environment": {**ENVIRONMENT["environment"], **change}}, environment="test")


def hours(**change: Any) -> OffHours:
    return OffHours.model_validate({**HOURS, **change})


@dataclass
class OffHoursWorld:
    """AWS, Custodian and the application in one: what each was asked is in `calls`, in order."""

    environment: Environment = field(default_factory=environment)
    hours: OffHours = field(default_factory=hours)
    things: dict[str, SwitchedObject] = field(default_factory=dict)
    managed: dict[str, ServiceType] = field(default_factory=dict)
    """Those of `things` that are no servers, by name."""
    calls: list[str] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)
    """Servers that AWS leaves as they are."""
    broken: str = ""
    before_custodian: Callable[[], None] = lambda: None
    before_leave: Callable[[], None] = lambda: None
    before_look: Callable[[], None] = lambda: None
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        for group in self.environment.servers:
            for name in layout.server_names(self.environment, group):
                self.put(name, group)

    def put(self, name: str, group: str, power: PowerState = PowerState.ON, **how: Any) -> None:
        state = {PowerState.ON: "running", PowerState.OFF: "stopped", PowerState.MOVING: "stopping"}[power]
        self.things[name] = SwitchedObject(id=f"i-{name}", name=name, group=group, power=power, state=state, **how)

    def all(self, power: PowerState) -> None:
        for switched in list(self.things.values()):
            self.put(switched.name, switched.group, power)

    @property
    def context(self) -> OffHoursContext:
        return OffHoursContext(
            environment=self.environment,
            hours=self.hours,
            account=self,
            custodian=self,
            application=self,
            clock=self.clock,
            notify=lambda text: None,
        )

    def look(self, turn: Turn) -> tuple[SwitchedObject, ...]:
        self.before_look()
        if turn.service is not ServiceType.EC2:
            return tuple(self.things[name] for name, service in self.managed.items() if service is turn.service)
        return tuple(switched for switched in self.things.values() if switched.group in turn.groups)

    def validate(self, policies: Sequence[Policy]) -> None:
        raise AssertionError

    def run(self, policies: Sequence[Policy]) -> Mapping[str, tuple[str, ...]]:
        self.before_custodian()
        if self.broken:
            raise CustodianFailed(self.broken)
        return {policy["name"]: self._act(policy) for policy in policies}

    def _act(self, policy: Policy) -> tuple[str, ...]:
        keys = {"InstanceId", "DBInstanceIdentifier", "AutoScalingGroupName"}
        [ids] = [filter_["value"] for filter_ in policy["filters"] if filter_.get("key") in keys]
        self.calls.append(f"custodian {policy['name']} {' '.join(ids)}")
        power = PowerState.OFF if policy["actions"][0] in ("stop", "suspend") else PowerState.ON
        for switched in list(self.things.values()):
            if switched.id in ids and switched.name not in self.stuck:
                self.things[switched.name] = replace(switched, power=power, state=f"made {power.value}")
        return tuple(ids)

    def leave(self, group: str, servers: Sequence[str]) -> dict[str, Reply]:
        self.before_leave()
        return self._replies(f"leave {group}", servers)

    def enter(self, group: str, servers: Sequence[str], *, deadline_s: float) -> dict[str, Reply]:
        return self._replies(f"enter {group}", servers)

    def _replies(self, what: str, servers: Sequence[str]) -> dict[str, Reply]:
        self.calls.append(f"{what} {' '.join(servers)}")
        return {name: Reply(name not in self.failing, error=self.failing.get(name, "")) for name in servers}
