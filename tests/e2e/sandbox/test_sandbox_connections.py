"""What clients' connections see while targets come and go: a real HAProxy of the balancer's image, told by `Balancing`."""

from __future__ import annotations

import http.client
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container
from support.sandbox_clouds import GROUP, balancer, group, snapshot

from saltlick.sandbox import image
from saltlick.sandbox.balancing import Balancing
from saltlick.sandbox.cloud import SandboxListener, SandboxSnapshot, SandboxTarget
from saltlick.sandbox.desired import balancer_key

pytestmark = pytest.mark.e2e
CHECKOUT = Path(__file__).resolve().parents[3]
CYCLES = 10
CLIENTS = 8


class Application(BaseHTTPRequestHandler):
    """Answers with its own port, on a connection that it keeps."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = str(self.request.getsockname()[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing: the tests' output is not an access log."""


@dataclass
class World:
    """Targets on this machine behind one HAProxy, which `tick` keeps in step."""

    balancing: Balancing
    port: int
    targets: tuple[SandboxTarget, ...]
    registered: set[SandboxTarget] = field(default_factory=set)
    reloads: list[str] = field(default_factory=list)

    @property
    def snapshot(self) -> SandboxSnapshot:
        targets = tuple(sorted(self.registered))
        fast = group(*targets, interval_s=1, rise=1, fall=2, drain_s=5)
        listener = SandboxListener(port=self.port, protocol="HTTP", target_group=GROUP)
        return snapshot(groups=(fast,), balancers=(balancer(listeners=(listener,)),))

    def tick(self) -> None:
        self.balancing.registry.follow(self.snapshot, time.monotonic())
        self.balancing.configure(self.snapshot)
        self.balancing.check(self.snapshot, time.monotonic())

    def states(self) -> dict[int, str]:
        known = self.balancing.registry.of(GROUP, self.snapshot) or {}
        return {target.port: health.state for target, health in known.items()}

    def until(self, condition: Callable[[], bool], within_s: float = 20) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"{self.states()} {self.balancing.problems}"
            self.tick()
            time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def haproxy(root: Path, key: str) -> Iterator[Container]:
    client = docker.from_env()
    made = image.ensure(client, print, CHECKOUT)["balancer"]
    volumes = {str(root / key): {"bind": "/run/balancer"}}
    container = client.containers.run(made, network_mode="host", detach=True, volumes=volumes)
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


@pytest.fixture
def world() -> Iterator[World]:
    """Two targets, both healthy."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Application) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    targets = tuple(SandboxTarget(id="127.0.0.1", port=int(server.server_address[1])) for server in servers)
    key = balancer_key(balancer())
    with tempfile.TemporaryDirectory(prefix="saltlick-") as made:
        reloads: list[str] = []
        world = World(Balancing(Path(made), reloads.append), free_port(), targets, set(targets), reloads)
        world.balancing.configure(world.snapshot)
        with haproxy(Path(made), key):
            world.until(lambda: set(world.states().values()) == {"healthy"}, within_s=30)
            reloads.clear()
            yield world
    for server in servers:
        server.shutdown()


@dataclass
class Visitor(threading.Thread):
    """Asks over one connection that it keeps: GET and POST in turn, and never a second time."""

    port: int
    answers: list[int] = field(default_factory=list)
    failure: str = ""
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.connect()
        connection.auto_open = False
        try:
            while not self.done.wait(0.01):
                connection.request("POST" if len(self.answers) % 2 else "GET", "/", body=b"x")
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 200, f"{answer.status} {body!r}"
                self.answers.append(int(body))
        except (OSError, http.client.HTTPException, AssertionError) as error:
            self.failure = f"request {len(self.answers)}: {error!r}"


def comes_and_goes(world: World, target: SandboxTarget, visitors: list[Visitor]) -> None:
    """Deregister it, see that all visitors are answered by the other, and register it again."""
    world.registered.remove(target)
    world.until(lambda: target.port not in world.states())
    before = [len(visitor.answers) for visitor in visitors]
    world.until(lambda: all(len(v.answers) > n + 5 or v.failure for v, n in zip(visitors, before, strict=True)))
    assert target.port not in [visitor.answers[-1] for visitor in visitors]
    world.registered.add(target)
    world.until(lambda: world.states() == {t.port: "healthy" for t in world.targets})


def test_no_kept_connection_is_closed_while_targets_come_and_go(world: World) -> None:
    visitors = [Visitor(world.port) for _ in range(CLIENTS)]
    for visitor in visitors:
        visitor.start()
    for cycle in range(CYCLES):
        comes_and_goes(world, world.targets[cycle % 2], visitors)
    for visitor in visitors:
        visitor.done.set()
        visitor.join()
    assert [visitor.failure for visitor in visitors] == [""] * CLIENTS
    assert world.reloads == []
    assert world.balancing.problems == {}
    assert min(len(visitor.answers) for visitor in visitors) > 10 * CYCLES


def test_a_deregistered_target_is_gone_with_its_last_request_before_the_delay_is_over(world: World) -> None:
    world.registered.remove(world.targets[0])
    began = time.monotonic()
    world.until(lambda: world.targets[0].port not in world.states())
    assert time.monotonic() - began < 4, "the deregistration delay is 5 s, and nothing was under way"
