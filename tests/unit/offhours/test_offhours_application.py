"""What servers are told around their night: out of traffic and stopped before, well and back in traffic after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.clock import FakeClock
from support.cloud import FakeCloud
from support.fleet import FakeFleet
from support.offhours_world import hours

from saltlick.environment.pillar import parse_environment
from saltlick.fleet.balancers import BalancerContext
from saltlick.fleet.ports import Call, Reply
from saltlick.offhours.application import FleetApplicationControl
from saltlick.release.pillar import parse_recipe
from saltlick.release.steps import server_calls

PILLAR = Path(__file__).parents[3] / "pillar"
APPS = ("test-app-1", "test-app-2")


def read(name: str):
    return yaml.safe_load((PILLAR / name).read_text("utf-8"))


class Servers(FakeFleet):
    """Servers with which all is well, but for what `fault` replies. `log` has a line for each equal call; pings get none."""

    def __init__(self, fault: Callable[[str, Call], Reply | None] = lambda server, call: None) -> None:
        super().__init__()
        self.fault = fault
        self.log: list[str] = []

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> Mapping[str, Reply]:
        assert calls, "nobody is asked nothing"
        for call in {str(call): call for call in calls.values()}.values():
            if call.function not in ("test.ping", "revision.current"):
                names = ",".join(server.removeprefix("test-") for server in calls if calls[server] == call)
                self.log.append(f"{names}: {call.function} {_about(call)}".rstrip())
        return super().run(calls, deadline_s=deadline_s)

    def answer(self, server: str, call: Call) -> Any:
        return self.fault(server, call) or True


def _about(call: Call) -> str:
    return str(call.kwargs.get("cmd") or (call.args[0] if call.args else ""))


@dataclass
class Elb(FakeCloud):
    """A cloud in which each server has an instance, and the target group does what it is told at once."""

    log: list[str]
    registered: set[str] = field(default_factory=lambda: set(APPS))

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        return ({"Instances": [_instance(name) for name in APPS]},)

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        if operation == "describe_target_groups":
            return {"TargetGroups": [{"TargetGroupArn": "arn", "Port": 80}]}
        if operation == "describe_target_health":
            return {"TargetHealthDescriptions": [_target(name) for name in sorted(self.registered)]}
        names = {target["Id"] for target in parameters["Targets"]}
        self.log.append(f"{operation} {','.join(sorted(names))}")
        self.registered = self.registered - names if operation == "deregister_targets" else self.registered | names
        return {}


def _instance(name):
    tags = [{"Key": "Name", "Value": name}, {"Key": "saltlick:environment", "Value": "test"}]
    return {"InstanceId": name, "State": {"Name": "running"}, "Tags": tags}


def _target(name):
    return {"Target": {"Id": name, "Port": 80}, "TargetHealth": {"State": "healthy"}}


def made(fleet: Servers, *, recipe: bool = True, **change):
    environment = parse_environment(read("test/environment.sls"), environment="test")
    clock = FakeClock()
    cloud = Elb(fleet.log)
    ground = BalancerContext("test", lambda: environment, fleet, fleet, lambda: cloud, clock)
    parsed = parse_recipe(read("common/release.sls"), environment) if recipe else None
    current = server_calls.current(parsed.source, parsed.strategy.kind) if parsed else None
    return FleetApplicationControl(
        environment=environment, hours=hours(**change), recipe=parsed, current_revision=current, ground=ground
    )


def failing(function: str, *servers: str, silent: bool = False, times: int = 99):
    left = [times] * 1

    def answer(server: str, call: Call) -> Reply | None:
        if call.function != function or server not in servers or left[0] <= 0:
            return None
        left[0] -= 1
        return Reply(False, error=f"{function}: no", silent=silent)

    return answer


def good(replies: Mapping[str, Reply]) -> Sequence[str]:
    return sorted(server for server, reply in replies.items() if reply.ok)


def test_out_of_traffic_before_the_application_stops_as_in_a_release():
    fleet = Servers()
    assert good(made(fleet).leave("app", APPS)) == list(APPS)
    assert fleet.log == [
        "deregister_targets test-app-1,test-app-2",
        "app-1,app-2: cmd.run_all supervisorctl stop app:*",
    ]


def test_a_group_without_a_recipe_is_only_taken_out_of_what_is_in_front_of_it():
    fleet = Servers()
    assert good(made(fleet, recipe=False).leave("app", APPS)) == list(APPS)
    assert fleet.log == ["deregister_targets test-app-1,test-app-2"]
    assert good(made(fleet).leave("db", ("test-db-1",))) == ["test-db-1"]
    assert len(fleet.log) == 1


def test_an_application_that_does_not_stop_is_a_failure_of_its_server():
    fleet = Servers(failing("cmd.run_all", "test-app-2"))
    replies = made(fleet).leave("app", APPS)
    assert good(replies) == ["test-app-1"]
    assert replies["test-app-2"].error == "stop app: cmd.run_all: no"


def test_a_dead_minion_does_not_keep_everything_on_all_night():
    fleet = Servers(failing("cmd.run_all", "test-app-2", silent=True))
    assert good(made(fleet).leave("app", APPS)) == list(APPS)


def test_well_and_back_in_traffic_without_a_step_where_all_started_by_itself():
    fleet = Servers()
    assert good(made(fleet).enter("app", APPS, deadline_s=60)) == list(APPS)
    assert fleet.log == [
        "app-1,app-2: health.http http://127.0.0.1:9001/health",
        "app-1,app-2: health.http http://127.0.0.1:9002/health",
        "register_targets test-app-1,test-app-2",
    ]


def test_what_did_not_start_by_itself_is_started_and_asked_again():
    fleet = Servers(failing("health.http", "test-app-2", times=1))
    assert good(made(fleet).enter("app", APPS, deadline_s=60)) == list(APPS)
    assert fleet.log[2] == "app-2: cmd.run_all supervisorctl start app:*"
    assert fleet.log[3:5] == [f"app-2: health.http http://127.0.0.1:{port}/health" for port in (9001, 9002)]


def test_who_is_not_well_gets_no_traffic():
    fleet = Servers(failing("health.http", "test-app-2"))
    replies = made(fleet).enter("app", APPS, deadline_s=60)
    assert good(replies) == ["test-app-1"]
    assert "no" in replies["test-app-2"].error
    assert fleet.log[-1] == "register_targets test-app-1"


def test_an_instance_that_runs_is_not_a_minion_that_listens():
    fleet = Servers(failing("test.ping", "test-app-2", silent=True))
    replies = made(fleet).enter("app", APPS, deadline_s=60)
    assert good(replies) == ["test-app-1"]
    assert "its minion did not answer in 6" in replies["test-app-2"].error


def test_a_minion_that_takes_a_while_is_waited_for():
    fleet = Servers(failing("test.ping", "test-app-2", silent=True, times=4))
    assert good(made(fleet).enter("app", APPS, deadline_s=60)) == list(APPS)


def test_other_groups_are_asked_what_the_pillar_says():
    fleet = Servers()
    app = made(fleet, checks={"db": [{"tcp": "127.0.0.1:5432"}]})
    assert good(app.enter("db", ("test-db-1",), deadline_s=60)) == ["test-db-1"]
    assert fleet.log == ["db-1: health.tcp 127.0.0.1"]
    fleet = Servers(failing("health.tcp", "test-db-1"))
    app = made(fleet, checks={"db": [{"tcp": "127.0.0.1:5432"}]})
    assert good(app.enter("db", ("test-db-1",), deadline_s=60)) == []


@pytest.mark.parametrize("silent", [True, False])
def test_who_does_not_leave_traffic_is_not_stopped_unless_it_is_dead(silent):
    """HAProxy on the servers themselves: nobody but they can take them out."""
    fleet = Servers(failing("haproxy_runtime.drain", "test-app-2", silent=silent))
    app = made(fleet)
    raw = read("common/release.sls")
    raw["release"]["balancer"] = {"kind": "haproxy", "on": "self", "backend": "app", "drain_s": 1}
    recipe = parse_recipe(raw, app.environment)
    app = replace(app, recipe=recipe, _balancers={})
    shown = {name: {"admin": "drain", "status": "UP", "sessions": 0, "queue": 0} for name in APPS}
    fault = fleet.fault
    fleet.fault = lambda server, call: Reply(True, shown) if call.function.endswith(".show") else fault(server, call)
    assert good(app.leave("app", APPS)) == (list(APPS) if silent else ["test-app-1"])
