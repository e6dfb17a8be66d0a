"""Balancers over fakes: whether a server is out or back is observed, never assumed. No second is slept."""

from __future__ import annotations

import pytest
from support.balancers import SERVERS, balancer_of
from support.clock import FakeClock
from support.fleet import SILENT, FakeFleet

from saltlick.fleet.ports import Reply, Seen, Traffic


def after(clock, seconds, late, early):
    """An answer that changes with time."""
    return lambda server, call: late if clock.now() >= seconds else early


def test_nothing_in_front_says_yes_to_all():
    nobody = balancer_of({"kind": "none"})
    assert {seen.traffic for seen in nobody.look(SERVERS).values()} == {Traffic.IN}
    assert nobody.drain(SERVERS)["test-app-1"].value["how"] == "drained"
    assert all(reply.ok for reply in nobody.restore(SERVERS).values())


VARNISH = {"kind": "service", "service": "varnish", "drain_s": 30, "restore_s": 20}
LOOK = {"call": "health.http http://{server}/"}


def test_a_service_is_stopped_and_seen_to_be_gone_by_what_is_in_front():
    clock = FakeClock()
    fleet = FakeFleet(service__stop=True, service__start=True)
    failing = Reply(False, error="no answer: refused")
    master = FakeFleet(health__http=after(clock, 4, failing, {"healthy": True}))
    in_front = balancer_of({**VARNISH, "look": LOOK}, clock, fleet=fleet, master=master)
    replies = in_front.drain(SERVERS)
    assert [reply.value["how"] for reply in replies.values()] == ["drained", "drained"]
    assert 4000 <= replies["test-app-1"].duration_ms <= 5500
    assert fleet.asked == [("test-app-1", "service.stop varnish"), ("test-app-2", "service.stop varnish")]
    assert master.asked[0] == ("test-app-1", "health.http http://test-app-1/")


def test_a_service_that_is_still_asked_is_out_when_time_is_up_and_that_is_said():
    clock = FakeClock()
    in_front = balancer_of(
        {**VARNISH, "look": LOOK},
        clock,
        fleet=FakeFleet(service__stop=True),
        master=FakeFleet(health__http=True),
    )
    reply = in_front.drain(["test-app-1"])["test-app-1"]
    assert (reply.ok, reply.value["how"]) == (True, "timed out")
    assert clock.now() == pytest.approx(30, abs=1)
    assert clock.longest_s <= 1.2, "a second between looks is a second out of traffic"


def test_a_service_that_does_not_stop_fails():
    in_front = balancer_of(VARNISH, fleet=FakeFleet(service__stop=False, service__status=True))
    assert in_front.drain(["test-app-1"])["test-app-1"].error == "it returned False"


def test_without_a_look_the_service_itself_tells():
    running = {"now": True}
    fleet = FakeFleet(
        service__stop=lambda *_: running.update(now=False) or True, service__status=lambda *_: running["now"]
    )
    in_front = balancer_of(VARNISH, fleet=fleet)
    assert in_front.look(["test-app-1"])["test-app-1"].traffic is Traffic.IN
    assert in_front.drain(["test-app-1"])["test-app-1"].value["how"] == "drained"
    assert in_front.look(["test-app-1"])["test-app-1"].traffic is Traffic.OUT


def test_a_dead_server_is_out_where_somebody_else_can_see_it_and_only_there():
    dead = FakeFleet(service__stop=SILENT, service__status=SILENT)
    gone = FakeFleet(health__http=Reply(False, error="refused"))
    assert balancer_of({**VARNISH, "look": LOOK}, fleet=dead, master=gone).drain(["a"])["a"].ok
    still = FakeFleet(health__http=True)
    assert balancer_of({**VARNISH, "look": LOOK}, fleet=dead, master=still).drain(["a"])["a"].silent
    assert balancer_of(VARNISH, fleet=dead).drain(["a"])["a"].silent


def test_a_service_is_back_when_the_balancer_has_seen_it():
    clock = FakeClock()
    master = FakeFleet(health__http=after(clock, 3, True, Reply(False, error="status 503")))
    in_front = balancer_of({**VARNISH, "look": LOOK}, clock, fleet=FakeFleet(service__start=True), master=master)
    assert in_front.restore(["a"])["a"].ok
    never = balancer_of(
        {**VARNISH, "look": LOOK},
        fleet=FakeFleet(service__start=True),
        master=FakeFleet(health__http=Reply(False, error="status 503")),
    )
    assert never.restore(["a"])["a"].error == "not in traffic after 20 s; the balancer shows it out (status 503)"


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
    master, fleet = FakeFleet(netscaler__disable=True, netscaler__show=seen), FakeFleet(event__send=True)
    in_front = balancer_of(NETSCALER, clock, master=master, fleet=fleet)
    assert in_front.look(["a"])["a"] == Seen(Traffic.DRAINING, "", 4)
    assert in_front.drain(["a"])["a"].value == {"how": "drained", "sessions": 0}
    assert (master.asked[1], fleet.asked) == (("a", "netscaler.disable a"), [("a", "event.send out/a")])


def test_sessions_that_are_left_when_time_is_up_are_told():
    master = FakeFleet(netscaler__disable=True, netscaler__show={"traffic": "draining", "sessions": 4})
    reply = balancer_of(NETSCALER, master=master, fleet=FakeFleet(event__send=True)).drain(["a"])["a"]
    assert reply.value == {"how": "timed out", "sessions": 4}


def test_a_step_that_fails_is_named_and_the_rest_is_left():
    master, fleet = FakeFleet(netscaler__disable={"retcode": 1, "stderr": "denied"}), FakeFleet()
    reply = balancer_of(NETSCALER, master=master, fleet=fleet).drain(["a"])["a"]
    assert reply.error == "netscaler.disable {server}: exit code 1: denied"
    assert fleet.asked == []


def test_a_look_that_says_nonsense_is_not_taken_for_in_or_out():
    master = FakeFleet(netscaler__show={"traffic": "up"})
    seen = balancer_of(NETSCALER, master=master).look(["a"])["a"]
    assert (seen.traffic, seen.detail) == (
        Traffic.UNKNOWN,
        "it said 'up', which is none of in, draining, out, unhealthy, unknown",
    )
    assert balancer_of(NETSCALER, master=FakeFleet(netscaler__show=SILENT)).look(["a"])["a"].traffic is Traffic.UNKNOWN
