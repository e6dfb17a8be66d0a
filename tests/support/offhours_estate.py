"""Two environments of off-hours tests: what they hold, and `offhours.run` at a given instant."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

import salt.config
from support.clock import FakeClock

from saltlick.commands.arguments import caller
from saltlick.commands.job import environment_locks
from saltlick.commands.offhours import commands, context
from saltlick.commands.result import guarded
from saltlick.engine.wait import SystemClock
from saltlick.fleet.ports import Reply
from saltlick.jobs.lock import Locks
from saltlick.offhours import switch
from saltlick.offhours.records import OffHoursRecord
from saltlick.salt_io.pillar import with_grains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ENVIRONMENT = """
environment:
  name: {name}
  production: {production}
  region: us-east-1
  cidr: {net}.0.0/16
  zones: [us-east-1a]
  image: {{id: ami-12c6146b}}
  subnets: {{public: {{cidrs: [{net}.0.0/24]}}}}
  firewall: {{app: [{{from: world, tcp: 80}}]}}
  servers:
    db: {{count: 1, type: t3.small, subnet: public, firewall: app}}
    app: {{count: 2, type: t3.small, subnet: public, firewall: app}}
  salt: {{master: 127.0.0.1}}
"""
HOURS = """
offhours:
  timezone: Europe/Berlin
  off: Mon-Fri 19:00
  on: Mon-Fri 07:00
  settle_s: 20
"""
FRIDAY_EVENING = datetime(2026, 11, 27, 18, 5, tzinfo=timezone.utc)
MONDAY = datetime(2026, 11, 30, 6, 30, tzinfo=timezone.utc)
US = "us-east-1"
NETS = {"night": "10.71", "live": "10.72"}


class RecordingApplication:
    """An application that records its calls. Servers in `failing` fail; `when` runs an action during a call."""

    def __init__(self, look: Callable[[], Any] = lambda: None) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.failing: dict[str, str] = {}
        self.when: dict[str, Callable[[], object]] = {}
        self._look = look

    def leave(self, group: str, servers: Sequence[str]) -> dict[str, Reply]:
        return self._record("leave", servers)

    def enter(self, group: str, servers: Sequence[str], *, deadline_s: float) -> dict[str, Reply]:
        return self._record("enter", servers)

    def _record(self, verb: str, servers: Sequence[str]) -> dict[str, Reply]:
        request = f"{verb} {' '.join(servers)}"
        self.asked.append((request, self._look()))
        self.when.get(request, lambda: None)()
        return {server: self._reply(server) for server in servers}

    def _reply(self, server: str) -> Reply:
        return Reply(False, error=self.failing[server]) if server in self.failing else Reply(True)


class InstantCustodian:
    """In place of Cloud Custodian: acts on the ids in the policies at once."""

    def __init__(self, aws: Any) -> None:
        self._ec2 = aws("ec2")

    def validate(self, policies: Any) -> None:
        raise AssertionError

    def run(self, policies: Any) -> dict[str, tuple[str, ...]]:
        return {policy["name"]: self._act(policy) for policy in policies}

    def _act(self, policy: Any) -> tuple[str, ...]:
        [ids] = [term["value"] for term in policy["filters"] if term.get("key") == "InstanceId"]
        [action] = policy["actions"]
        getattr(self._ec2, f"{action}_instances")(InstanceIds=ids)
        return tuple(ids)


@cache
def grains() -> dict[str, Any]:
    """Of this machine, gathered once: each compiled pillar would gather them again."""
    return dict(with_grains(salt.config.master_config(None))["grains"])


def opts(master: Any) -> dict[str, Any]:
    return {**master.opts, "grains": grains()}


def instances(aws: Any) -> list[dict[str, Any]]:
    """Those of `night` and `live` that are there, by name."""
    reservations = aws("ec2").describe_instances()["Reservations"]
    existing = [
        instance
        for reservation in reservations
        for instance in reservation["Instances"]
        if tag(instance, "Name").startswith(tuple(NETS)) and instance["State"]["Name"] != "terminated"
    ]
    return sorted(existing, key=lambda instance: tag(instance, "Name"))


def tag(item: dict[str, Any], key: str) -> str:
    return next((pair["Value"] for pair in item.get("Tags", ()) if pair["Key"] == key), "")


def states(aws: Any) -> dict[str, str]:
    return {tag(instance, "Name"): instance["State"]["Name"] for instance in instances(aws)}


def running(aws: Any) -> set[str]:
    return {name for name, state in states(aws).items() if state == "running"}


LIVE = {"live-app-1", "live-app-2", "live-db-1"}
APPS = {"night-app-1", "night-app-2"}


def playing(application: RecordingApplication, custodian: InstantCustodian | None = None) -> Any:
    """A context with the real account, and the real Custodian unless one is given."""

    @contextlib.contextmanager
    def opened(given: Any, environment: context.OffHoursEnvironment, notify: Any) -> Iterator[switch.OffHoursContext]:
        yield switch.OffHoursContext(
            environment=environment.environment,
            hours=environment.hours,
            account=context.account_of(environment),
            custodian=custodian or context.custodian_of(given, environment),
            application=application,
            clock=SystemClock(),
            notify=notify,
        )

    return opened


def run(
    master: Any,
    at: datetime,
    application: RecordingApplication | None = None,
    custodian: InstantCustodian | None = None,
) -> tuple[int, dict[str, Any], str]:
    """`offhours.run night` at that instant. Waiting for a lock takes no time."""
    how = {
        "test": False,
        "caller": caller("77", "ann"),
        "open_context": playing(application or RecordingApplication(), custodian),
        "open_locks": lambda opts, user: replace(environment_locks(opts, user), clock=FakeClock()),
    }
    answer = guarded(commands.run_at, opts(master), "night", at, **how)
    return answer.retcode, answer.result, str(answer.text)


def record(master: Any) -> OffHoursRecord:
    with context.open_records(opts(master)) as records:
        return records.read("night")


def remember(master: Any, **how: Any) -> None:
    with context.open_records(opts(master)) as records:
        records.change("night", lambda _: OffHoursRecord(**how))


def locks(master: Any, user: str = "bob") -> Locks:
    return Locks(folder=master.folder / "var/cache/salt/master/saltlick/locks", user=user)
