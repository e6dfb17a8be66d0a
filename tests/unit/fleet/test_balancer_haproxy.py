"""HAProxy over fakes: drained on every proxy, sessions waited for, restored when healthy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from support.balancers import SERVERS, balancer_of
from support.clock import FakeClock
from support.fleet import SILENT, FakeFleet

from saltlick.fleet.balancers.haproxy import together
from saltlick.fleet.ports import Call, Seen, Traffic


@dataclass
class HaproxyFleet(FakeFleet):
    """Runtime sockets of some servers: what `haproxy_runtime` would answer."""

    clock: FakeClock
    names: tuple[str, ...] = SERVERS
    sessions: float = 0.0
    """Each server has one session that ends then."""
    healthy: float = 0.0
    silent: set[str] = field(default_factory=set)
    admin: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def answer(self, server: str, call: Call) -> Any:
        if server in self.silent:
            return SILENT
        verb = call.function.partition(".")[2]
        if verb == "show":
            return {name: self._row(server, name) for name in self.names}
        self.admin[server, call.args[1]] = verb
        return {"now": verb, "changed": True, "sessions": 0}

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
    return balancer_of(
        {"kind": "haproxy", "on": ["proxy"], "backend": "app", **spec}, clock, fleet=fleet, declared=Declared
    )


def test_haproxy_drains_waits_for_sessions_and_then_maint_on_every_one():
    clock = FakeClock()
    fleet = HaproxyFleet(clock, sessions=5)
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
    fleet = HaproxyFleet(clock, sessions=1e9)
    reply = haproxy(clock, fleet).drain(["test-app-1"])["test-app-1"]
    assert (reply.ok, reply.value["how"], reply.value["sessions"]) == (True, "timed out", 2)
    assert set(fleet.admin.values()) == {"maint"}


def test_haproxy_is_ready_when_all_find_it_healthy():
    clock = FakeClock()
    fleet = HaproxyFleet(clock, healthy=4, admin={("test-proxy-1", "test-app-1"): "maint"})
    assert haproxy(clock, fleet).restore(["test-app-1"])["test-app-1"].ok
    assert clock.now() >= 4
    never = HaproxyFleet(FakeClock(), healthy=1e9)
    error = haproxy(never.clock, never).restore(["test-app-1"])["test-app-1"].error
    assert error.startswith("not in traffic after 60 s; the balancer shows it unhealthy (test-proxy-1: test-app-1 DOWN")


def test_a_haproxy_that_does_not_answer_may_send_requests_still():
    clock = FakeClock()
    fleet = HaproxyFleet(clock, silent={"test-proxy-2"})
    in_front = haproxy(clock, fleet)
    assert in_front.drain(["test-app-1"])["test-app-1"].error == "HAProxy on test-proxy-2: drain: no answer"
    assert in_front.look(["test-app-1"])["test-app-1"].traffic is Traffic.UNKNOWN


def test_a_dead_server_with_a_haproxy_of_its_own_among_others_is_taken_out_by_them():
    clock = FakeClock()
    fleet = HaproxyFleet(clock, silent={"test-app-1"})
    in_front = haproxy(clock, fleet, on=["app"])
    reply = in_front.drain(["test-app-1"])["test-app-1"]
    assert reply.ok
    assert fleet.admin == {("test-app-2", "test-app-1"): "maint"}
    assert not in_front.restore(["test-app-1"])["test-app-1"].ok


def test_several_names_of_one_server_and_a_haproxy_on_each():
    clock = FakeClock()
    fleet = HaproxyFleet(clock, names=("app-9001", "app-9002"))
    in_front = haproxy(clock, fleet, on="self", server=["{application}-9001", "{application}-9002"])
    assert all(reply.ok for reply in in_front.drain(SERVERS).values())
    assert set(fleet.admin) == {(server, name) for server in SERVERS for name in fleet.names}
    rounds = [line for server, line in fleet.asked if server == "test-app-1" and "drain" in line]
    assert len(rounds) == 2
    assert balancer_of({"kind": "haproxy", "on": "self", "backend": "app"}, clock, fleet=fleet).look(["test-app-1"])[
        "test-app-1"
    ].detail == ("HAProxy on test-app-1 has no server test-app-1")


def test_in_is_only_what_all_say():
    out, inn, bad = Seen(Traffic.OUT, "a", 0), Seen(Traffic.IN, "b", 2), Seen(Traffic.UNHEALTHY, "c", 1)
    assert together([inn, inn]).traffic is Traffic.IN
    assert together([inn, bad]) == Seen(Traffic.UNHEALTHY, "b; c", 3)
    assert together([inn, out]) == Seen(Traffic.UNKNOWN, "HAProxies differ: b; a", 2)
