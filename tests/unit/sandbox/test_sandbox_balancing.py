"""Targets over time: registered, checked, drained; and HAProxy's configuration of them."""

from __future__ import annotations

import socketserver
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.sandbox_clouds import GROUP, balancer, group, instance, snapshot

from saltlick.sandbox import balancer as haproxy
from saltlick.sandbox.balancer import DRAINING, HEALTHY, INITIAL, BackendCheck
from saltlick.sandbox.balancing import Balancing, Registry
from saltlick.sandbox.cloud import SandboxTarget
from saltlick.sandbox.desired import balancer_key

KEY = balancer_key(balancer())
ONE, TWO = SandboxTarget(id="i-1", port=80), SandboxTarget(id="i-2", port=80)
WELL = BackendCheck(checked=True, up=True, status="L7OK", code="200", weight=100, sessions=0)
STATISTICS = """\
# pxname,svname,scur,status,weight,check_status,check_code,check_health,check_rise,check_fall
g1,i-1_80,3,UP,100,L7OK,200,3,2,2
g1,i-2_80,0,DOWN,0,* L7STS,503,0,2,2
g1,i-3_80,0,DRAIN,0,INI,,2,2,2
g1,BACKEND,3,UP,100,,,,,
"""


def world(*targets: SandboxTarget):
    return snapshot(instance(1), instance(2), groups=(group(*targets),), balancers=(balancer(),))


def states(registry: Registry, *targets: SandboxTarget) -> dict[str, str]:
    return {t.id: health.state for t, health in (registry.of(GROUP, world(*targets)) or {}).items()}


def test_a_target_gets_traffic_only_after_a_check_succeeded() -> None:
    registry = Registry()
    registry.follow(world(ONE), now=0)
    assert states(registry, ONE) == {"i-1": "initial"}
    assert [haproxy.weight(s.health) for s in registry.servers(group(ONE), world(ONE))] == [0]
    registry.judge(group(ONE), {("g1", "i-1_80"): WELL})
    assert [haproxy.weight(s.health) for s in registry.servers(group(ONE), world(ONE))] == [100]


def test_a_deregistered_target_drains_for_its_delay_and_is_gone() -> None:
    registry = Registry()
    registry.follow(world(ONE, TWO), now=0)
    registry.follow(world(TWO), now=10)
    assert states(registry, TWO) == {"i-1": "draining", "i-2": "initial"}
    assert [(s.target.id, haproxy.weight(s.health)) for s in registry.servers(group(TWO), world(TWO))] == [
        ("i-1", 0),
        ("i-2", 0),
    ]
    registry.follow(world(TWO), now=39)
    assert "i-1" in states(registry, TWO)
    registry.follow(world(TWO), now=40)
    assert states(registry, TWO) == {"i-2": "initial"}


def test_a_target_that_comes_back_while_draining_starts_anew() -> None:
    registry = Registry()
    registry.follow(world(ONE), now=0)
    registry.follow(world(), now=1)
    registry.follow(world(ONE), now=2)
    assert states(registry, ONE) == {"i-1": "initial"}
    registry.follow(world(), now=40)
    assert states(registry) == {"i-1": "draining"}


def test_a_group_without_listener_is_not_in_use_and_an_unknown_one_is_unknown() -> None:
    registry = Registry()
    registry.follow(world(ONE), now=0)
    unused = snapshot(instance(1), groups=(group(ONE),), balancers=(balancer(listeners=()),))
    assert [h.reason for h in (registry.of(GROUP, unused) or {}).values()] == ["Target.NotInUse"]
    assert registry.of("arn:other", unused) is None


def test_a_stopped_target_is_unused_and_not_asked() -> None:
    registry = Registry()
    stopped = snapshot(instance(1, state="stopped"), groups=(group(ONE),), balancers=(balancer(),))
    registry.follow(stopped, now=0)
    assert [h.reason for h in (registry.of(GROUP, stopped) or {}).values()] == ["Target.InvalidState"]
    assert registry.servers(group(ONE), stopped) == ()


def test_a_target_that_was_stopped_has_to_prove_itself_again() -> None:
    registry = Registry()
    registry.follow(world(ONE), now=0)
    registry.judge(group(ONE), {("g1", "i-1_80"): WELL})
    registry.follow(snapshot(instance(1, state="stopped"), groups=(group(ONE),), balancers=(balancer(),)), now=1)
    registry.follow(world(ONE), now=2)
    assert states(registry, ONE) == {"i-1": "initial"}


def test_statistics_are_read() -> None:
    checks = haproxy.parse_statistics(STATISTICS)
    assert checks["g1", "i-1_80"] == BackendCheck(
        checked=True, up=True, status="L7OK", code="200", weight=100, sessions=3
    )
    assert set(checks) == {("g1", "i-1_80"), ("g1", "i-2_80"), ("g1", "i-3_80")}
    assert haproxy.judge(HEALTHY, checks["g1", "i-2_80"]).reason == "Target.ResponseCodeMismatch"


def test_what_was_known_holds_until_haproxy_has_checked() -> None:
    """A reload starts a new worker that knows nothing yet: a healthy target must not lose its traffic by it."""
    fresh = haproxy.parse_statistics(STATISTICS)["g1", "i-3_80"]
    assert haproxy.judge(HEALTHY, fresh) is HEALTHY
    assert haproxy.judge(INITIAL, fresh) is INITIAL
    assert haproxy.judge(DRAINING, None) is DRAINING


def test_the_configuration_names_listener_check_and_servers() -> None:
    registry = Registry()
    registry.follow(world(ONE), now=0)
    servers = {GROUP: registry.servers(group(ONE), world(ONE))}
    text = haproxy.render(balancer(), {GROUP: group(ONE, check_codes="200-299")}, servers)
    assert "    bind *:80\n" in text
    assert "    default_backend g1\n" in text
    assert "uri /health" in text
    assert "http-check expect status 200-299" in text
    assert "server i-1_80 10.1.0.4:80 check inter 5s" in text
    assert text.rstrip().endswith("weight 0")


def test_a_listener_without_target_group_is_open_and_answers_for_itself() -> None:
    text = haproxy.render(balancer(), {}, {})
    assert "bind *:80" in text
    assert "default_backend" not in text


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because it holds a socket."""
    with tempfile.TemporaryDirectory(prefix="saltlick-") as made:
        yield Path(made)


class Runtime(socketserver.ThreadingUnixStreamServer):
    """HAProxy's runtime socket, which knows the servers it is given and remembers what it was told."""

    def __init__(self, path: Path, *servers: str) -> None:
        self.told: list[str] = []
        self.servers = dict.fromkeys(servers, "UP")
        self.full = False
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(str(path), Answer)

    def answer(self, command: str) -> str:
        words = command.split()
        if command == "show stat":
            header = "# pxname,svname,scur,status,weight,check_status,check_code,check_health,check_rise\n"
            return header + "".join(f"g1,{name},0,{state},0,L7OK,200,3,2\n" for name, state in self.servers.items())
        if command.startswith("add server "):
            if self.full:
                return "Out of memory."
            self.servers[words[2].removeprefix("g1/")] = "MAINT"
            return "New server registered."
        if words[3:4] == ["state"]:
            self.servers[words[2].removeprefix("g1/")] = {"ready": "UP", "maint": "MAINT"}[words[4]]
        return ""


class Answer(socketserver.StreamRequestHandler):
    server: Runtime

    def handle(self) -> None:
        command = self.rfile.readline().decode().strip()
        self.server.told.append(command)
        self.wfile.write(self.server.answer(command).encode() + b"\n")


@pytest.fixture
def runtime(folder: Path) -> Iterator[Runtime]:
    with Runtime(folder / KEY / "stats.sock", "i-1_80") as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def looked_at(balancing: Balancing, *targets: SandboxTarget, at: float) -> dict[str, str]:
    balancing.registry.follow(world(*targets), now=at)
    balancing.check(world(*targets), now=at)
    return balancing.problems


def test_one_that_does_not_answer_is_named_and_told_again_to_read_its_file(folder: Path) -> None:
    reloaded: list[str] = []
    balancing = Balancing(folder, reloaded.append)
    assert looked_at(balancing, ONE, at=0) == {}
    assert looked_at(balancing, ONE, at=4) == {}
    assert reloaded == []
    assert looked_at(balancing, ONE, at=5)[KEY].startswith("its HAProxy does not answer: ")
    assert reloaded == [KEY]
    looked_at(balancing, ONE, at=9)
    assert reloaded == [KEY]
    looked_at(balancing, ONE, at=10)
    assert reloaded == [KEY, KEY]
    balancing.forget(KEY)
    assert balancing.problems == {}


def test_a_server_comes_by_the_runtime_socket_and_gets_weight_once_it_is_healthy(
    folder: Path, runtime: Runtime
) -> None:
    reloaded: list[str] = []
    balancing = Balancing(folder, reloaded.append)
    looked_at(balancing, ONE, TWO, at=0)
    check = "10.1.0.5:80 check inter 5s fastinter 5s rise 2 fall 2 weight 0"
    added = [f"add server g1/i-2_80 {check}", "enable health g1/i-2_80", "set server g1/i-2_80 state ready"]
    assert runtime.told == ["show stat", *added, "set server g1/i-1_80 weight 100"]
    looked_at(balancing, ONE, TWO, at=1)
    assert runtime.told[-1] == "set server g1/i-2_80 weight 100"
    assert reloaded == []


def test_a_server_goes_by_the_runtime_socket_and_one_that_is_not_gone_yet_may_come_back(
    folder: Path, runtime: Runtime
) -> None:
    balancing = Balancing(folder, lambda _key: None)
    looked_at(balancing, at=0)
    gone = ["set server g1/i-1_80 state maint", "shutdown sessions server g1/i-1_80", "del server g1/i-1_80"]
    assert runtime.told == ["show stat", *gone]
    looked_at(balancing, ONE, at=1)
    assert runtime.told[4:] == ["show stat", "set server g1/i-1_80 state ready", "set server g1/i-1_80 weight 100"]


def test_one_that_refuses_a_server_is_named_and_told_to_read_its_file(folder: Path, runtime: Runtime) -> None:
    reloaded: list[str] = []
    balancing = Balancing(folder, reloaded.append)
    runtime.full = True
    assert looked_at(balancing, ONE, TWO, at=1) == {}
    assert looked_at(balancing, ONE, TWO, at=7) == {KEY: "its HAProxy does not take i-2_80 (Out of memory.)"}
    assert reloaded == [KEY]
    runtime.full = False
    assert looked_at(balancing, ONE, TWO, at=8) == {}


def test_only_a_change_of_more_than_servers_is_a_reload(folder: Path) -> None:
    reloaded: list[str] = []
    balancing = Balancing(folder, reloaded.append)
    balancing.configure(world(ONE))
    balancing.registry.follow(world(ONE, TWO), now=0)
    balancing.configure(world(ONE, TWO))
    assert reloaded == [KEY]
    other = snapshot(instance(1), groups=(group(ONE, check_path="/well"),), balancers=(balancer(),))
    balancing.configure(other)
    assert reloaded == [KEY, KEY]


def test_a_target_that_drains_is_gone_with_its_last_request(folder: Path) -> None:
    registry = Registry()
    registry.follow(world(ONE), now=0)
    registry.follow(world(), now=1)
    busy = BackendCheck(checked=True, up=True, status="L7OK", code="200", weight=0, sessions=1)
    registry.judge(group(), {("g1", "i-1_80"): busy})
    assert states(registry) == {"i-1": "draining"}
    registry.judge(group(), {("g1", "i-1_80"): replace(busy, weight=100, sessions=0)})
    assert states(registry) == {"i-1": "draining"}, "it may still get requests"
    registry.judge(group(), {("g1", "i-1_80"): replace(busy, sessions=0)})
    assert states(registry) == {}


def test_its_file_is_never_half_written_and_written_only_when_it_changes(folder: Path) -> None:
    balancing = Balancing(folder, lambda _key: None)
    balancing.configure(world(ONE))
    file = folder / KEY / "haproxy.cfg"
    before = file.stat().st_ino
    balancing.configure(world(ONE))
    assert file.stat().st_ino == before
    balancing.registry.follow(world(ONE), now=0)
    with file.open() as old:
        balancing.configure(world(ONE))
        assert "i-1_80" not in old.read()
    assert "i-1_80" in file.read_text()
    assert [path.name for path in (folder / KEY).iterdir()] == ["haproxy.cfg"]
