"""Balancers over fakes: who is out and who is back is looked at, never supposed; no second is slept."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from support.clock import FakeClock

from saltlick.errors import AwsError
from saltlick.fleet.balancers import BalancerContext, balancer
from saltlick.fleet.balancers.haproxy import together
from saltlick.fleet.ports import Call, Reply, Seen, Traffic
from saltlick.release.pillar import Recipe

SERVERS = ("test-app-1", "test-app-2")
SOURCE = {"repository": "x", "directory": "/srv/app", "user": "app"}
SILENT = Reply(False, error="no answer", silent=True)


class Fleet:
    """Answers calls by function: a value, a Reply, or something that is asked with (server, call)."""

    def __init__(self, **answers):
        self.answers = {name.replace("__", "."): answer for name, answer in answers.items()}
        self.asked: list[tuple[str, str]] = []

    def run(self, calls, *, deadline_s):
        return {server: self._reply(server, call) for server, call in calls.items()}

    def _reply(self, server, call):
        self.asked.append((server, str(call)))
        answer = self.answers[call.function]
        answer = answer(server, call) if callable(answer) else answer
        return answer if isinstance(answer, Reply) else Reply(True, answer)


def after(clock, seconds, late, early):
    """An answer that changes with time."""
    return lambda server, call: late if clock.now() >= seconds else early


def made(spec, clock=None, **ports):
    recipe = Recipe.model_validate({"application": "app", "servers": "app", "source": SOURCE, "balancer": spec})
    given = {"fleet": Fleet(), "master": Fleet(), "cloud": None, "declared": None, **ports}
    return balancer(recipe, BalancerContext(environment="test", clock=clock or FakeClock(), **given))


def test_nothing_in_front_says_yes_to_all():
    nobody = made({"kind": "none"})
    assert {seen.traffic for seen in nobody.look(SERVERS).values()} == {Traffic.IN}
    assert nobody.drain(SERVERS)["test-app-1"].value["how"] == "drained"
    assert all(reply.ok for reply in nobody.restore(SERVERS).values())


# service

VARNISH = {"kind": "service", "service": "varnish", "drain_s": 30, "restore_s": 20}
LOOK = {"call": "health.http http://{server}/"}


def test_a_service_is_stopped_and_seen_to_be_gone_by_what_is_in_front():
    clock = FakeClock()
    fleet = Fleet(service__stop=True, service__start=True)
    failing = Reply(False, error="no answer: refused")
    master = Fleet(health__http=after(clock, 4, failing, {"healthy": True}))
    in_front = made({**VARNISH, "look": LOOK}, clock, fleet=fleet, master=master)
    replies = in_front.drain(SERVERS)
    assert [reply.value["how"] for reply in replies.values()] == ["drained", "drained"]
    assert 4000 <= replies["test-app-1"].duration_ms <= 5500
    assert fleet.asked == [("test-app-1", "service.stop varnish"), ("test-app-2", "service.stop varnish")]
    assert master.asked[0] == ("test-app-1", "health.http http://test-app-1/")


def test_a_service_that_is_still_asked_is_out_when_time_is_up_and_that_is_said():
    clock = FakeClock()
    in_front = made({**VARNISH, "look": LOOK}, clock, fleet=Fleet(service__stop=True), master=Fleet(health__http=True))
    reply = in_front.drain(["test-app-1"])["test-app-1"]
    assert (reply.ok, reply.value["how"]) == (True, "timed out")
    assert clock.now() == pytest.approx(30, abs=1)
    assert clock.longest_s <= 1.2, "a second between looks is a second out of traffic"


def test_a_service_that_does_not_stop_fails():
    in_front = made(VARNISH, fleet=Fleet(service__stop=False, service__status=True))
    assert in_front.drain(["test-app-1"])["test-app-1"].error == "it returned False"


def test_without_a_look_the_service_itself_tells():
    running = {"now": True}
    fleet = Fleet(service__stop=lambda *_: running.update(now=False) or True, service__status=lambda *_: running["now"])
    in_front = made(VARNISH, fleet=fleet)
    assert in_front.look(["test-app-1"])["test-app-1"].traffic is Traffic.IN
    assert in_front.drain(["test-app-1"])["test-app-1"].value["how"] == "drained"
    assert in_front.look(["test-app-1"])["test-app-1"].traffic is Traffic.OUT


def test_a_dead_server_is_out_where_somebody_else_can_see_it_and_only_there():
    dead = Fleet(service__stop=SILENT, service__status=SILENT)
    gone = Fleet(health__http=Reply(False, error="refused"))
    assert made({**VARNISH, "look": LOOK}, fleet=dead, master=gone).drain(["a"])["a"].ok
    still = Fleet(health__http=True)
    assert made({**VARNISH, "look": LOOK}, fleet=dead, master=still).drain(["a"])["a"].silent
    assert made(VARNISH, fleet=dead).drain(["a"])["a"].silent


def test_a_service_is_back_when_the_balancer_has_seen_it():
    clock = FakeClock()
    master = Fleet(health__http=after(clock, 3, True, Reply(False, error="status 503")))
    in_front = made({**VARNISH, "look": LOOK}, clock, fleet=Fleet(service__start=True), master=master)
    assert in_front.restore(["a"])["a"].ok
    never = made(
        {**VARNISH, "look": LOOK},
        fleet=Fleet(service__start=True),
        master=Fleet(health__http=Reply(False, error="status 503")),
    )
    assert never.restore(["a"])["a"].error == "not in traffic after 20 s; the balancer shows it out (status 503)"


# command

NETSCALER = {
    "kind": "command",
    "drain": ["netscaler.disable {server}", {"call": "event.send out/{server}", "on": "server"}],
    "restore": ["netscaler.enable {server}"],
    "look": "netscaler.show {server}",
    "drain_s": 10,
}


def test_a_command_drains_step_by_step_and_looks():
    clock = FakeClock()
    seen = after(clock, 2, {"traffic": "draining", "sessions": 0}, {"traffic": "draining", "sessions": 4})
    master, fleet = Fleet(netscaler__disable=True, netscaler__show=seen), Fleet(event__send=True)
    in_front = made(NETSCALER, clock, master=master, fleet=fleet)
    assert in_front.look(["a"])["a"] == Seen(Traffic.DRAINING, "", 4)
    assert in_front.drain(["a"])["a"].value == {"how": "drained", "sessions": 0}
    assert (master.asked[1], fleet.asked) == (("a", "netscaler.disable a"), [("a", "event.send out/a")])


def test_sessions_that_are_left_when_time_is_up_are_told():
    master = Fleet(netscaler__disable=True, netscaler__show={"traffic": "draining", "sessions": 4})
    reply = made(NETSCALER, master=master, fleet=Fleet(event__send=True)).drain(["a"])["a"]
    assert reply.value == {"how": "timed out", "sessions": 4}


def test_a_step_that_fails_is_named_and_the_rest_is_left():
    master, fleet = Fleet(netscaler__disable={"retcode": 1, "stderr": "denied"}), Fleet()
    reply = made(NETSCALER, master=master, fleet=fleet).drain(["a"])["a"]
    assert reply.error == "netscaler.disable {server}: exit code 1: denied"
    assert fleet.asked == []


def test_a_look_that_says_nonsense_is_not_taken_for_in_or_out():
    master = Fleet(netscaler__show={"traffic": "up"})
    seen = made(NETSCALER, master=master).look(["a"])["a"]
    assert (seen.traffic, seen.detail) == (
        Traffic.UNKNOWN,
        "it said 'up', which is none of in, draining, out, unhealthy, unknown",
    )
    assert made(NETSCALER, master=Fleet(netscaler__show=SILENT)).look(["a"])["a"].traffic is Traffic.UNKNOWN


# haproxy


@dataclass
class Haproxies:
    """Runtime sockets of some servers: what `haproxy_runtime` would answer."""

    clock: FakeClock
    names: tuple[str, ...] = SERVERS
    sessions: float = 0.0
    """Each server has one session that ends then."""
    healthy: float = 0.0
    silent: set = field(default_factory=set)
    admin: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def run(self, calls, *, deadline_s):
        return {proxy: self._reply(proxy, call) for proxy, call in calls.items()}

    def _reply(self, proxy, call: Call):
        self.asked.append((proxy, str(call)))
        if proxy in self.silent:
            return SILENT
        verb = call.function.partition(".")[2]
        if verb == "show":
            return Reply(True, {name: self._row(proxy, name) for name in self.names})
        self.admin[proxy, call.args[1]] = verb
        return Reply(True, {"now": verb, "changed": True, "sessions": 0})

    def _row(self, proxy, name):
        admin = self.admin.get((proxy, name), "ready")
        status = {"drain": "DRAIN", "maint": "MAINT"}.get(admin) or (
            "UP" if self.clock.now() >= self.healthy else "DOWN"
        )
        return {"admin": admin, "status": status, "sessions": int(self.clock.now() < self.sessions), "queue": 0}


class Declared:
    """As much of an environment as layout.server_names wants."""

    name = "test"

    class Group:
        names = ("test-proxy-1", "test-proxy-2")
        count = None

    servers = {"proxy": Group, "app": type("App", (Group,), {"names": SERVERS})}  # noqa: RUF012


def haproxy(clock, fleet, **spec):
    return made({"kind": "haproxy", "on": ["proxy"], "backend": "app", **spec}, clock, fleet=fleet, declared=Declared)


def test_haproxy_drains_waits_for_sessions_and_then_maint_on_every_one():
    clock = FakeClock()
    fleet = Haproxies(clock, sessions=5)
    reply = haproxy(clock, fleet).drain(["test-app-1"])["test-app-1"]
    assert (reply.value["how"], reply.value["sessions"]) == ("drained", 0)
    assert 5 <= clock.now() <= 6.3
    verbs = [line for _, line in fleet.asked if "show" not in line]
    assert verbs == [
        f"haproxy_runtime.{verb} app test-app-1 socket=/run/haproxy/admin.sock"
        for verb in ("drain", "drain", "maint", "maint")
    ]
    assert haproxy(clock, fleet).look(SERVERS)["test-app-1"].traffic is Traffic.OUT
    assert haproxy(clock, fleet).look(SERVERS)["test-app-2"].traffic is Traffic.IN


def test_haproxy_puts_a_server_out_with_sessions_left_when_time_is_up():
    clock = FakeClock()
    fleet = Haproxies(clock, sessions=1e9)
    reply = haproxy(clock, fleet).drain(["test-app-1"])["test-app-1"]
    assert (reply.ok, reply.value["how"], reply.value["sessions"]) == (True, "timed out", 2)
    assert set(fleet.admin.values()) == {"maint"}


def test_haproxy_is_ready_when_all_find_it_healthy():
    clock = FakeClock()
    fleet = Haproxies(clock, healthy=4, admin={("test-proxy-1", "test-app-1"): "maint"})
    assert haproxy(clock, fleet).restore(["test-app-1"])["test-app-1"].ok
    assert clock.now() >= 4
    never = Haproxies(FakeClock(), healthy=1e9)
    said = haproxy(never.clock, never).restore(["test-app-1"])["test-app-1"].error
    assert said.startswith("not in traffic after 60 s; the balancer shows it unhealthy (test-proxy-1: test-app-1 DOWN")


def test_a_haproxy_that_does_not_answer_may_send_requests_still():
    clock = FakeClock()
    fleet = Haproxies(clock, silent={"test-proxy-2"})
    in_front = haproxy(clock, fleet)
    assert in_front.drain(["test-app-1"])["test-app-1"].error == "HAProxy on test-proxy-2: drain: no answer"
    assert in_front.look(["test-app-1"])["test-app-1"].traffic is Traffic.UNKNOWN


def test_a_dead_server_with_a_haproxy_of_its_own_among_others_is_taken_out_by_them():
    clock = FakeClock()
    fleet = Haproxies(clock, silent={"test-app-1"})
    in_front = haproxy(clock, fleet, on=["app"])
    reply = in_front.drain(["test-app-1"])["test-app-1"]
    assert reply.ok
    assert fleet.admin == {("test-app-2", "test-app-1"): "maint"}
    assert not in_front.restore(["test-app-1"])["test-app-1"].ok


def test_several_names_of_one_server_and_a_haproxy_on_each():
    clock = FakeClock()
    fleet = Haproxies(clock, names=("app-9001", "app-9002"))
    in_front = haproxy(clock, fleet, on="self", server=["{application}-9001", "{application}-9002"])
    assert all(reply.ok for reply in in_front.drain(SERVERS).values())
    assert set(fleet.admin) == {(server, name) for server in SERVERS for name in fleet.names}
    rounds = [line for server, line in fleet.asked if server == "test-app-1" and "drain" in line]
    assert len(rounds) == 2
    assert made({"kind": "haproxy", "on": "self", "backend": "app"}, clock, fleet=fleet).look(["test-app-1"])[
        "test-app-1"
    ].detail == ("HAProxy on test-app-1 has no server test-app-1")


def test_in_is_only_what_all_say():
    out, inn, bad = Seen(Traffic.OUT, "a", 0), Seen(Traffic.IN, "b", 2), Seen(Traffic.UNHEALTHY, "c", 1)
    assert together([inn, inn]).traffic is Traffic.IN
    assert together([inn, bad]) == Seen(Traffic.UNHEALTHY, "b; c", 3)
    assert together([inn, out]) == Seen(Traffic.UNKNOWN, "HAProxies differ: b; a", 2)


# elbv2


@dataclass
class Aws:
    """As much of two services as the balancer asks. A target leaves `leaves_s` after it was told to, and is well at `well`."""

    clock: FakeClock
    instances: dict = field(
        default_factory=lambda: {"test-app-1": ("i-1", "running"), "test-app-2": ("i-2", "running")}
    )
    leaves_s: float = 3.0
    well: float = 0.0
    reason: str = ""
    broken: bool = False
    targets: dict = field(default_factory=lambda: {("i-1", 80): None, ("i-2", 80): None})
    calls: list = field(default_factory=list)
    region = "us-east-1"

    def call(self, service, operation, /, **parameters):
        self.calls.append(operation)
        if self.broken:
            raise AwsError(operation, "AccessDenied", "no")
        return getattr(self, operation)(**parameters) or {}

    def reading(self):
        return self

    def read(self, service, operation, key, /, **parameters):
        self.calls.append(operation)
        if self.broken:
            raise AwsError(operation, "AccessDenied", "no")
        states = parameters["Filters"][1]["Values"]
        found = [
            {"InstanceId": id_, "State": {"Name": state}, "Tags": [{"Key": "Name", "Value": name.partition("#")[0]}]}
            for name, (id_, state) in self.instances.items()
            if state in states
        ]
        return ({"Instances": found},)

    def describe_target_groups(self, Names):  # noqa: N803
        assert Names == ["test-www"]
        return {"TargetGroups": [{"TargetGroupArn": "arn", "Port": 80}]}

    def deregister_targets(self, TargetGroupArn, Targets):  # noqa: N803
        for each in Targets:
            self.targets[each["Id"], each["Port"]] = self.clock.now() + self.leaves_s

    def register_targets(self, TargetGroupArn, Targets):  # noqa: N803
        self.targets |= {(each["Id"], each["Port"]): None for each in Targets}

    def describe_target_health(self, TargetGroupArn):  # noqa: N803
        now = self.clock.now()
        self.targets = {key: until for key, until in self.targets.items() if until is None or until > now}
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": id_, "Port": port}, "TargetHealth": self._health(until)}
                for (id_, port), until in self.targets.items()
            ]
        }

    def _health(self, until):
        if self.reason:
            return {"State": "unused", "Reason": self.reason}
        return {"State": "draining" if until else "healthy" if self.clock.now() >= self.well else "initial"}


def elbv2(aws, **spec):
    return made({"kind": "elbv2", "name": "www", **spec}, aws.clock, cloud=lambda: aws)


def test_targets_are_out_when_they_have_left_draining():
    aws = Aws(FakeClock())
    in_front = elbv2(aws)
    assert {seen.traffic for seen in in_front.look(SERVERS).values()} == {Traffic.IN}
    replies = in_front.drain(SERVERS)
    assert [reply.value for reply in replies.values()] == [{"how": "drained", "detail": "not registered"}] * 2
    assert 3 <= aws.clock.now() <= 4.3
    assert in_front.look(["test-app-1"])["test-app-1"].traffic is Traffic.OUT
    again = in_front.drain(SERVERS)
    assert all(reply.ok for reply in again.values())
    assert aws.calls.count("deregister_targets") == 1, "who is out need not leave again"


def test_a_target_that_goes_on_draining_is_out_anyway_and_that_is_said():
    aws = Aws(FakeClock(), leaves_s=1e9)
    reply = elbv2(aws, drain_s=30).drain(["test-app-1"])["test-app-1"]
    assert (reply.ok, reply.value["how"], reply.value["detail"]) == (True, "timed out", "draining")
    assert aws.clock.now() == pytest.approx(45, abs=1)


def test_targets_are_back_when_healthy():
    aws = Aws(FakeClock(), targets={}, well=12)
    assert all(reply.ok for reply in elbv2(aws).restore(SERVERS).values())
    assert 12 <= aws.clock.now() <= 13.5
    assert set(aws.targets) == {("i-1", 80), ("i-2", 80)}
    never = Aws(FakeClock(), targets={}, well=1e9)
    assert (
        elbv2(never).restore(["test-app-1"])["test-app-1"].error
        == "not in traffic after 60 s; the balancer shows it unhealthy (initial)"
    )


def test_a_target_group_that_nothing_sends_to_is_not_waited_for():
    aws = Aws(FakeClock(), reason="Target.NotInUse")
    reply = elbv2(aws).restore(["test-app-1"])["test-app-1"]
    assert reply.error == "not in traffic after 0 s; the balancer shows it out (unused: Target.NotInUse)"
    assert aws.clock.now() == 0


def test_a_server_whose_instance_is_gone_is_out_and_cannot_come_back():
    aws = Aws(FakeClock(), instances={"test-app-1": ("i-1", "terminated"), "test-app-2": ("i-2", "stopped")})
    in_front = elbv2(aws)
    assert in_front.drain(["test-app-1"])["test-app-1"].value["detail"] == "there is no instance of that name"
    replies = in_front.restore(SERVERS)
    assert replies["test-app-1"].error == "cannot be put into traffic: there is no instance of that name"
    assert replies["test-app-2"].error == "cannot be put into traffic: its instance i-2 is stopped, not running"


def test_of_two_instances_with_one_name_the_running_one_is_meant():
    aws = Aws(FakeClock(), instances={"test-app-1": ("i-0", "shutting-down"), "test-app-1#2": ("i-1", "running")})
    assert elbv2(aws).look(["test-app-1"])["test-app-1"].traffic is Traffic.IN


def test_what_aws_refuses_is_said_and_nobody_is_supposed_to_be_anywhere():
    in_front = elbv2(Aws(FakeClock(), broken=True))
    assert in_front.look(["a"])["a"].traffic is Traffic.UNKNOWN
    for replies in (in_front.drain(["a"]), in_front.restore(["a"])):
        assert "AccessDenied" in replies["a"].error


def test_a_look_that_aws_refuses_once_does_not_end_the_wait():
    aws = Aws(FakeClock())
    in_front = elbv2(aws)
    in_front.look(SERVERS)
    answer, aws.describe_target_health = aws.describe_target_health, None
    seen = []

    def sometimes(TargetGroupArn):  # noqa: N803
        seen.append(aws.clock.now())
        if len(seen) == 3:
            raise AwsError("describe_target_health", "Throttling", "slower")
        return answer(TargetGroupArn)

    aws.describe_target_health = sometimes
    assert in_front.drain(["test-app-1"])["test-app-1"].value["how"] == "drained"
    assert len(seen) > 3
