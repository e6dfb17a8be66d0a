"""A master, four minions and an application on each: a web server whose revision comes out of a real git repository."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integration.integration_master import IntegrationMaster

if TYPE_CHECKING:
    from integration.real_minions import Minion

SERVERS = tuple(f"test-app-{number}" for number in range(1, 5))
HERE = Path(__file__).parent

ENVIRONMENT = """
environment:
  name: test
  region: us-east-1
  cidr: 10.20.0.0/16
  zones: [us-east-1a]
  image: {id: ami-12c6146b}
  subnets: {public: {cidrs: [10.20.0.0/24]}}
  firewall: {app: [{from: world, tcp: 80}]}
  servers: {app: {count: 4, type: t3.small, subnet: public, firewall: app}}
  salt: {master: 127.0.0.1}
"""
RECIPE = """
release:
  application: shop
  servers: app
  source: {repository: %(repository)s, directory: %(home)s, keep: 5, min_free_mb: 1, user: %(user)s}
  strategy: {batch: [1, 100%%], floor: 1}
  balancer:
    kind: command
    drain: [{call: file.touch, args: ['%(home)s/{server}/drained']}]
    restore: [{call: cmd.run_all, kwargs: {cmd: 'rm -f "%(home)s/$SALTLICK_SERVER/drained"'}}]
    look: {call: cmd.run_all, kwargs: {cmd: 'test ! -e "%(home)s/$SALTLICK_SERVER/drained"', ignore_retcode: true}}
    drain_s: 5
    restore_s: 5
  build:
    - {call: cmd.run_all, kwargs: {cmd: 'cp app.py built.py', cwd: '{directory}/{server}/releases/{sha}'}, name: build}
  once:
    - {call: cmd.run_all, kwargs: {cmd: 'echo "$SALTLICK_ID" >> "$SALTLICK_DIRECTORY/once"'}, name: migrate}
  stop: [{call: cmd.run_all, kwargs: {cmd: '"$SALTLICK_DIRECTORY/$SALTLICK_SERVER/ctl" stop'}}]
  start: [{call: cmd.run_all, kwargs: {cmd: '"$SALTLICK_DIRECTORY/$SALTLICK_SERVER/ctl" start'}}]
  health:
    readiness_delay_s: 0
    deadline_s: 6
    interval_s: 0.2
    successes: 2
    checks: [{command: '"$SALTLICK_DIRECTORY/$SALTLICK_SERVER/ctl" health'}]
  hooks:
    post_release: [{call: cmd.run, kwargs: {cmd: 'echo "$SALTLICK_ID $SALTLICK_SERVERS" >> "$SALTLICK_DIRECTORY/hooked"'}}]
"""
CTL = """#!/bin/sh
# The application's service: start | stop | health
here=$(cd "$(dirname "$0")" && pwd)
case $1 in
start)
    cd "$here/current" || exit 2
    test ! -e kills-the-minion || kill -9 "-$(cat "$here/minion")"
    test ! -e does-not-start || { echo "it does not start" >&2; exit 3; }
    setsid python3 built.py "$here/port" > "$here/log" 2>&1 < /dev/null &
    echo $! > "$here/pid" ;;
stop)
    test ! -e "$here/pid" || kill "$(cat "$here/pid")" 2> /dev/null
    rm -f "$here/pid" "$here/port" ;;
health)
    python3 -c 'import sys, urllib.request as r; r.urlopen("http://127.0.0.1:" + open(sys.argv[1]).read() + "/health")' \\
        "$here/port" ;;
esac
"""
APP = """
import http.server, os, pathlib, sys

STATUS = int(pathlib.Path("status").read_text())
REVISION = os.path.basename(os.getcwd())


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(STATUS if self.path == "/health" else 200)
        self.end_headers()
        self.wfile.write(REVISION.encode())

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
new = pathlib.Path(sys.argv[1] + ".new")
new.write_text(str(server.server_port))
new.rename(sys.argv[1])
server.serve_forever()
"""


@dataclass
class NoCloud:
    """In place of an AWS: nobody asks it."""

    consoles: dict[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        return {}


@dataclass
class ApplicationMaster(IntegrationMaster):
    """The master with its application: `revisions` by name, `home` with a folder per server."""

    revisions: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "srv-app"

    def minion(self, name: str, **how: Any) -> Minion:
        """Its modules are this checkout's, but for folders of its own."""
        import json

        made = super().minion(name, **how)
        config = made.folder / "minion"
        own = {
            "module_dirs": [str(HERE.parents[1]), str(HERE / "per_minion")],
            "saltlick_jobs_dir": str(made.folder / "jobs"),
        }
        config.write_text(json.dumps({**json.loads(config.read_text()), **own}))
        return made

    def start_minion(self, name: str) -> None:
        """Start it, and let its application know whom a bad revision kills."""
        minion = self.minions.get(name) or self.minion(name)
        minion.start()
        (self.home / name / "minion").write_text(str(minion.processes[-1].pid))

    def lay_out(self) -> None:
        """A repository with good and bad revisions, a folder per server."""
        repository = self.folder / "shop"
        repository.mkdir()
        _git(repository, "init", "-q", "-b", "main")
        revisions: dict[str, dict[str, str | None]] = {
            "good-1": {"app.py": APP, "status": "200"},
            "good-2": {"two": ""},
            "good-3": {"three": ""},
            "unhealthy": {"status": "500"},
            "broken": {"status": "200", "does-not-start": ""},
            "deadly": {"kills-the-minion": "", "does-not-start": None},
        }
        for name, files in revisions.items():
            for file, text in files.items():
                (repository / file).unlink() if text is None else (repository / file).write_text(text)
            _git(repository, "add", "-A")
            _git(repository, "commit", "-q", "-m", name)
            _git(repository, "tag", name)
            self.revisions[name] = _git(repository, "rev-parse", "HEAD")
        for server in SERVERS:
            (self.home / server).mkdir(parents=True)
            (self.home / server / "ctl").write_text(CTL)
            (self.home / server / "ctl").chmod(0o755)

    def recipe(self) -> str:
        user = "root" if os.geteuid() == 0 else os.environ.get("USER", "root")
        return RECIPE % {"repository": self.folder / "shop", "home": self.home, "user": user}

    def runs(self) -> dict[str, str]:
        """What each server's application says that it is: the name of its revision, or why there is no answer."""
        names = {sha: name for name, sha in self.revisions.items()}
        return {server: names.get(said := self.ask(server), said) for server in SERVERS}

    def ask(self, server: str) -> str:
        try:
            port = (self.home / server / "port").read_text()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return answer.read().decode()
        except OSError as error:
            return type(error).__name__

    def out(self) -> set[str]:
        """Servers out of traffic."""
        return {path.parent.name for path in self.home.glob("*/drained")}

    def once(self) -> list[str]:
        """Releases whose task for one server was done, in order."""
        done = self.home / "once"
        return done.read_text().split() if done.exists() else []

    def stop_all(self) -> None:
        for minion in self.minions.values():
            minion.kill()
        for server in SERVERS:
            with contextlib.suppress(OSError):
                subprocess.run([str(self.home / server / "ctl"), "stop"], check=False, timeout=10)
        shutil.rmtree(self.home, ignore_errors=True)


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
