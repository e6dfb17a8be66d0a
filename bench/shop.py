"""A real master, four real minions on loopback, and a small HTTP application on each of them, with a balancer in front.

Minions have the machine's files in common, so what differs from server to server is in each minion's environment ($SHOP, its
folder; $PORT; $SERVER): calls are the same for all, as they are where each server is a machine of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import salt.config
from salt.exceptions import SaltClientError

from bench.ports import free_port
from bench.servers import ROOT, started
from saltlick.commands.environment.admission import ping
from saltlick.salt_io.events import master_listens
from saltlick.salt_io.keys import master_finger

sys.path.insert(0, str(ROOT / "tests"))

from integration.application_master import ENVIRONMENT
from integration.real_minions import BIN, Minion

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVERS = tuple(f"test-app-{number}" for number in range(1, 5))
READY_S = 180
FOLDERS = {"prepared": "releases/$SALTLICK_SHA", "in_place": "source"}
"""Where a strategy builds."""
RUNS = {"prepared": "current", "in_place": "source"}
"""What it starts."""
RECIPE = """
release:
  application: shop
  servers: app
  source: {repository: %(repository)s, directory: %(home)s, keep: 5, min_free_mb: 1, user: %(user)s}
  strategy: {kind: %(kind)s, batch: [1, 100%%], floor: 1}
  balancer: %(balancer)s
  build:
    - {call: cmd.run_all, kwargs: {cmd: 'cd "$SHOP/%(folder)s" && sleep %(build_s)g && cp app.py built.py'}, name: build}
  stop: [{call: cmd.run_all, kwargs: {cmd: '"$SHOP/ctl" stop'}}]
  start: [{call: cmd.run_all, kwargs: {cmd: '"$SHOP/ctl" start %(runs)s'}}]
  health: {readiness_delay_s: 0, deadline_s: 20, interval_s: 0.2, successes: 2, checks: [{command: '"$SHOP/ctl" health'}]}
"""
BY_FILES = """
    kind: command
    drain: [{call: cmd.run_all, on: server, kwargs: {cmd: 'touch "$SHOP/drained"'}}]
    restore: [{call: cmd.run_all, on: server, kwargs: {cmd: 'rm -f "$SHOP/drained"'}}]
    look:
      call: cmd.run_all
      on: server
      kwargs: {cmd: 'test "$(cat "$SHOP/traffic")" != out', ignore_retcode: true}
    drain_s: 20
    restore_s: 20
"""
HAPROXY = (
    '{{kind: haproxy, on: [self], backend: shop, server: "{{server}}", socket: {socket}, drain_s: 20, restore_s: 20}}'
)
HAPROXY_CFG = """
global
    stats socket {socket} mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    retries 0
frontend visitors
    bind 127.0.0.1:{port}
    default_backend shop
backend shop
    balance roundrobin
    option httpchk GET /health
    default-server check inter 200ms rise 1 fall 2
{servers}
"""
CTL = """#!/bin/bash
# The shop's service: start FOLDER | stop | health
listens() { (exec 3<> "/dev/tcp/127.0.0.1/$PORT") 2> /dev/null; }
case $1 in
start)
    cd -P "$SHOP/$2" || exit 2
    setsid "$PYTHON" -I built.py "$PORT" "$SERVER" > "$SHOP/log" 2>&1 < /dev/null &
    echo $! > "$SHOP/pid" ;;
stop)
    test ! -e "$SHOP/pid" || kill "$(cat "$SHOP/pid")" 2> /dev/null
    rm -f "$SHOP/pid"
    while listens; do sleep 0.02; done ;;
health)
    exec 3<> "/dev/tcp/127.0.0.1/$PORT" || exit 1
    printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3
    head -1 <&3 | grep -q ' 200 ' ;;
esac
"""
APP = """
import http.server, json, pathlib, sys, time, urllib.parse

TOLD = json.dumps({"server": sys.argv[2], "revision": pathlib.Path("revision").read_text()}).encode()


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        time.sleep(float(asked.get("wait", ["0"])[0]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(TOLD)))
        self.end_headers()
        self.wfile.write(TOLD)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
"""


@dataclass
class Shop:
    """All of it, running. `url`: where visitors go; `front`: what is there."""

    folder: Path
    opts: dict[str, Any] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    url: str = ""
    front: str = ""
    in_front: str = BY_FILES
    """The recipe's balancer where visitors come."""

    @property
    def home(self) -> Path:
        return self.folder / "srv"

    def declare(self, kind: str, build_s: float, balancer: str = "") -> None:
        """Write the recipe into the pillar."""
        slots = {
            "repository": self.folder / "shop",
            "home": self.home,
            "user": self.opts["user"],
            "kind": kind,
            "folder": FOLDERS[kind],
            "runs": RUNS[kind],
            "build_s": build_s,
            "balancer": balancer or self.in_front,
        }
        (self.folder / "pillar/release.sls").write_text(RECIPE % slots)

    def commit(self, name: str) -> str:
        """A new revision, which says its name; returns its SHA."""
        repository = self.folder / "shop"
        if not repository.exists():
            repository.mkdir()
            git(repository, "init", "-q", "-b", "main")
        (repository / "app.py").write_text(APP)
        (repository / "revision").write_text(name)
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", name)
        git(repository, "tag", name)
        return git(repository, "rev-parse", "HEAD")

    def runs(self) -> dict[str, str]:
        """What each server says that it runs."""
        return {server: ask(f"http://127.0.0.1:{port}/")["revision"] for server, port in self.ports.items()}

    def environ(self, server: str) -> dict[str, str]:
        own = {"SHOP": str(self.home / server), "PORT": str(self.ports[server]), "SERVER": server}
        return {**os.environ, **own, "PYTHON": sys.executable}


@contextlib.contextmanager
def shop(folder: Path) -> Iterator[Shop]:
    """Start everything; the application itself is first started by the first release."""
    made = Shop(folder, ports={server: free_port() for server in SERVERS})
    for server in SERVERS:
        (made.home / server).mkdir(parents=True)
        (made.home / server / "ctl").write_text(CTL)
        (made.home / server / "ctl").chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(_stop_all, made)
        stack.enter_context(_master(made))
        for server in SERVERS:
            stack.enter_context(_minion(made, server))
        await_(lambda: _answering(made) == len(SERVERS), "all minions")
        stack.enter_context(_front(made))
        yield made


@contextlib.contextmanager
def _master(made: Shop) -> Iterator[None]:
    (made.folder / "pillar").mkdir()
    (made.folder / "pillar/top.sls").write_text("test:\n  '*': [environment, release]\n")
    (made.folder / "pillar/environment.sls").write_text(ENVIRONMENT)
    config = {
        "root_dir": str(made.folder / "master"),
        "conf_file": str(made.folder / "master/master"),
        "user": "root" if os.geteuid() == 0 else os.environ.get("USER", "root"),
        "interface": "127.0.0.1",
        "publish_port": free_port(),
        "ret_port": free_port(),
        "auto_accept": True,
        "signing_algorithm": "PKCS1v15-SHA224",
        "publish_signing_algorithm": "PKCS1v15-SHA224",
        "module_dirs": [str(ROOT)],
        "pillar_roots": {"test": [str(made.folder / "pillar")]},
        "timeout": 30,
        "worker_threads": 3,
        "log_level": "error",
        "log_level_logfile": "warning",
    }
    (made.folder / "master").mkdir()
    (made.folder / "master/master").write_text(json.dumps(config))
    made.opts = salt.config.master_config(str(made.folder / "master/master"))
    with daemon([str(BIN / "salt-master"), "-c", str(made.folder / "master")], made.folder / "master/output"):
        await_(lambda: master_listens(made.opts) and (Path(made.opts["pki_dir"]) / "master.pub").exists(), "the master")
        yield


@contextlib.contextmanager
def _minion(made: Shop, server: str) -> Iterator[None]:
    minion = Minion(server, made.folder / server, {**made.opts, "finger": master_finger(made.opts)})
    config = minion.folder / "minion"
    own = {
        "module_dirs": [str(ROOT), str(ROOT / "tests/integration/per_minion")],
        "saltlick_jobs_dir": str(minion.folder / "jobs"),
    }
    config.write_text(json.dumps({**json.loads(config.read_text()), **own}))
    command = [str(BIN / "salt-minion"), "-c", str(minion.folder)]
    with daemon(command, minion.folder / "output", made.environ(server)):
        yield


@contextlib.contextmanager
def _front(made: Shop) -> Iterator[None]:
    """The small balancer, which the overhead is measured with; and for the visitors HAProxy, where there is one."""
    servers = [f"{name}={port}" for name, port in made.ports.items()]
    command = [sys.executable, "-m", "bench.front", str(made.home), *servers]
    with contextlib.ExitStack() as stack:
        front = stack.enter_context(started(command, stdout=subprocess.PIPE))
        assert front.stdout is not None
        made.url, made.front = (
            f"http://127.0.0.1:{int(front.stdout.readline())}/",
            "the bench's own proxy (bench/front.py)",
        )
        if haproxy := shutil.which("haproxy"):
            port, socket = free_port(), made.folder / "haproxy.sock"
            lines = "\n".join(f"    server {name} 127.0.0.1:{at}" for name, at in made.ports.items())
            config = made.folder / "haproxy.cfg"
            config.write_text(HAPROXY_CFG.format(socket=socket, port=port, servers=lines))
            stack.enter_context(daemon([haproxy, "-db", "-f", str(config)], made.folder / "haproxy.log"))
            version = subprocess.run([haproxy, "-v"], capture_output=True, text=True, check=True).stdout.split()[2]
            made.url, made.front = f"http://127.0.0.1:{port}/", f"HAProxy {version}"
            made.in_front = HAPROXY.format(socket=socket)
        yield


def _answering(made: Shop) -> int:
    """How many minions answer; none of a master that is still coming up."""
    try:
        return len(ping(made.opts, SERVERS))
    except SaltClientError:
        return 0


def _stop_all(made: Shop) -> None:
    for server in SERVERS:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([str(made.home / server / "ctl"), "stop"], env=made.environ(server), check=False, timeout=10)


@contextlib.contextmanager
def daemon(command: list[str], output: Path, environ: dict[str, str] | None = None) -> Iterator[None]:
    """A daemon with all it starts in a process group of its own, ended with the block."""
    with output.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def await_(look: Any, what: str) -> None:
    """Raises: TimeoutError."""
    deadline = time.monotonic() + READY_S
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not there within {READY_S} s")
        time.sleep(0.2)


def ask(url: str) -> dict[str, str]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        page: dict[str, str] = json.load(answer)
    return page


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
