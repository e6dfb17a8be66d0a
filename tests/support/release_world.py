"""A simulated fleet behind a simulated balancer, which watches the rules of a release itself, after each effect.

Never a stopped server in traffic, never fewer than the floor, a `once` task at most once. What a revision does to a server is in
its name: `bad-build`, `bad-start`, `sick`, `late`, `deadly` (takes the minion down when it starts), `crash-10` (ends after that).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.balancers import FakeBalancer
from support.clock import FakeClock
from support.fleet import FakeFleet

from saltlick.fleet.answers import parsed
from saltlick.fleet.ports import Call, Reply, Seen, Traffic
from saltlick.jobs.interrupts import Interrupts
from saltlick.jobs.store import Store
from saltlick.release.context import ReleaseContext, ReleaseEvent, ReleaseRequest, ReleaseServer
from saltlick.release.journal.record import ReleaseRecord, ServerStatus
from saltlick.release.journal.store import Journal
from saltlick.release.pillar import Recipe


def sha(rev: str) -> str:
    return hashlib.sha1(rev.encode()).hexdigest()


OLD = sha("old")
CRASHING = {"crash-2": 2, "crash-10": 10, "crash-40": 40}
"""Revisions whose process ends so many seconds after its start."""


class Killed(BaseException):
    """SIGKILL: nothing of the process runs after it."""


@dataclass
class Machine:
    """One server: what it runs, whether anybody can talk to it, what the balancer thinks."""

    name: str
    current: str = OLD
    running: str = OLD
    """The revision of the process that runs; empty: stopped."""
    started: float = 0.0
    alive: bool = True
    traffic: Traffic = Traffic.IN
    folders: set[str] = field(default_factory=lambda: {OLD})
    prepared: set[str] = field(default_factory=set)
    marks: dict[str, bool] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: int = 0
    killed: list[str] = field(default_factory=list)


@dataclass
class World(FakeBalancer):
    names: Sequence[str]
    floor: int = 1
    kind: str = "prepared"
    revisions: dict[str, str] = field(default_factory=dict)
    """SHA → the revision's name."""
    errors: dict[str, int] = field(default_factory=dict)
    """Revision's name → percent of requests that it answers with an error."""
    crashes_on: frozenset[str] | None = None
    """Where those that crash do; None: everywhere."""
    tick: Callable[[], None] = lambda: None
    """Called where a process may die."""
    fault: Callable[[str, str, Call], str] = lambda server, function, call: ""
    """What goes wrong with a call: `fail`, `silent` (this once), `die` (from now on); empty: nothing."""
    when: dict[str, Callable[[], None]] = field(default_factory=dict)
    """Function → something that happens when it is called, once."""

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.machines = {name: Machine(name) for name in self.names}
        self.once: list[tuple[str, str]] = []
        self.master: list[Call] = []
        self.calls: list[tuple[str, Call]] = []
        self.least = len(self.machines)
        for rev in ("old", "new", "newer", "bad-build", "bad-start", "sick", "late", "deadly", *CRASHING):
            self.revisions[sha(rev)] = rev

    # -- Fleet

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> dict[str, Reply]:
        replies = {}
        for number, (server, call) in enumerate(calls.items()):
            if number == len(calls) // 2:
                self.tick()  # half of them have done it
            replies[server] = self._reply(server, call, deadline_s)
        self.clock.sleep(deadline_s if any(reply.silent for reply in replies.values()) else 0.1)
        self.watch()
        return replies

    def _reply(self, server: str, call: Call, deadline_s: float) -> Reply:
        self.calls.append((server, call))
        machine = self.machines[server]
        if happens := self.when.pop(call.function, None):
            happens()
        wrong = self.fault(server, call.function, call)
        if wrong == "die":
            machine.alive, machine.running = False, ""
        if not machine.alive or wrong == "silent":
            return Reply(False, error=f"{call.function}: no answer in {deadline_s:.0f} s", silent=True)
        if wrong:
            return Reply(False, error=wrong)
        said = getattr(self, "do_" + call.function.replace(".", "_"))(machine, *call.args, **call.kwargs)
        return parsed(server, call, said)

    def do_revision_current(self, machine, directory, in_place):
        return Reply(True, machine.current)

    def do_revision_resolve(self, machine, repository, rev, user, directory, in_place):
        commits = [sha for sha, name in self.revisions.items() if rev == name or sha.startswith(rev)]
        return Reply(True, commits[0]) if commits else Reply(False, error=f"there is no branch, tag or commit {rev}")

    def do_revision_free(self, machine, directory):
        return Reply(True, 5000)

    def do_revision_prepare(self, machine, directory, repository, sha, user, bridge, release, shared):
        machine.prepared.add(sha)
        state = "built" if sha in machine.folders else "prepared"
        return Reply(True, {"folder": f"{directory}/releases/{sha}", "sha": sha, "state": state, "changed": True})

    def do_revision_built(self, machine, directory, sha, bridge, release):
        machine.folders.add(sha)
        return Reply(True, {"folder": f"{directory}/releases/{sha}", "changed": True, "bridged": 0})

    def do_revision_activate(self, machine, directory, sha):
        assert sha in machine.folders, "activated what is not complete"
        return self._switched(machine, sha)

    def do_revision_checkout(self, machine, directory, repository, sha, user):
        assert not machine.running, "checked out under a running application"
        return self._switched(machine, sha)

    def _switched(self, machine, sha):
        before, machine.current = machine.current, sha
        return Reply(True, {"previous": before, "current": sha, "changed": before != sha})

    def do_revision_mark(self, machine, directory, sha, good, release):
        machine.marks[sha] = good
        return Reply(True, {"sha": sha, "state": "good" if good else "failed"})

    def do_revision_prune(self, machine, directory, keep, protect):
        return Reply(True, {"removed": [], "kept": []})

    def do_revision_note(self, machine, line):
        return Reply(True, line)

    def do_requests_seen_count(self, machine, log, since, until):
        return Reply(True, {str(int(since)): 7})

    def do_requests_seen_errors(self, machine, log, since, until):
        """Ten requests in each second, of which each revision answers its share with errors."""
        requests = 10 * int(until - since)
        ran = machine.running if until > self.clock.epoch() - self.clock.now() + machine.started else OLD
        share = self.errors.get(self.revisions[ran], 0) if ran else 100
        return Reply(True, {"requests": requests, "errors": requests * share // 100})

    def do_build_make(self, machine, sha):
        bad = self.revisions[sha] == "bad-build"
        return Reply(True, {"retcode": 2, "stderr": "no such package\n"} if bad else {"retcode": 0})

    def do_db_migrate(self, machine, sha):
        self.once.append(("migrate", machine.name))
        return Reply(True, True)

    def do_db_back(self, machine):
        self.once.append(("back", machine.name))
        return Reply(True, True)

    def do_db_after(self, machine):
        self.once.append(("after", machine.name))
        return Reply(True, True)

    def do_app_stop(self, machine):
        machine.running = ""
        return Reply(True, True)

    do_app_kill = do_app_stop

    def do_app_start(self, machine):
        rev = self.revisions[machine.current]
        if rev == "bad-start":
            return Reply(True, False)
        if rev == "deadly":
            machine.alive = False
            return Reply(False, error="app.start: no answer in 60 s", silent=True)
        machine.running, machine.started = machine.current, self.clock.now()
        return Reply(True, True)

    def do_health_http(self, machine, url, **how):
        if self.well(machine):
            return Reply(True, {"healthy": True, "checks": 1, "seconds": 0.1, "last": "status 200"})
        return Reply(False, error=f"{url}: not healthy after {how['deadline_s']} s, last seen status 500")

    def do_detached_start(self, machine, job, function, args, kwargs, deadline_s):
        if job not in machine.jobs:
            machine.jobs[job] = {"state": "failed", "error": "the worker was killed"}
            reply = self._reply(machine.name, Call(function, tuple(args), kwargs), deadline_s)
            good = {"state": "done", "value": reply.value}
            machine.jobs[job] = good if reply.ok else {"state": "failed", "error": reply.error}
        return Reply(True, {"job": job, "state": "running"})

    def do_detached_forget(self, machine):
        return Reply(True, [])

    def do_detached_status(self, machine, job):
        machine.asked += 1
        if machine.asked % 2:
            return Reply(True, {"job": job, "state": "running"})
        return Reply(True, {"job": job, **machine.jobs.get(job, {"state": "unknown"})})

    def do_detached_kill(self, machine, job):
        machine.killed.append(job)
        return Reply(True, {"job": job, "state": "killed"})

    def well(self, machine: Machine) -> bool:
        runs = machine.alive and bool(machine.running) and not self.crashed(machine)
        return runs and self.revisions[machine.running] not in {"sick", "late"}

    def crashed(self, machine: Machine) -> bool:
        """Whether its process has ended by itself."""
        after_s = CRASHING.get(self.revisions[machine.running]) if machine.running else None
        here = self.crashes_on is None or machine.name in self.crashes_on
        return here and after_s is not None and self.clock.now() - machine.started >= after_s

    # -- Balancer

    def look(self, servers: Sequence[str]) -> dict[str, Seen]:
        self.watch()
        return {name: Seen(self.machines[name].traffic) for name in servers}

    def drain(self, servers: Sequence[str]) -> dict[str, Reply]:
        return {name: self._switch(name, "drain", Traffic.OUT) for name in self._halfway(servers)}

    def restore(self, servers: Sequence[str]) -> dict[str, Reply]:
        return {name: self._switch(name, "restore", Traffic.IN) for name in self._halfway(servers)}

    def _halfway(self, servers: Sequence[str]):
        for number, name in enumerate(servers):
            if number == len(servers) // 2:
                self.tick()
            yield name
        self.watch()
        self.clock.sleep(1)

    def _switch(self, name: str, what: str, traffic: Traffic) -> Reply:
        if happens := self.when.pop(what, None):
            happens()
        machine = self.machines[name]
        wrong = self.fault(name, what, Call(what))
        if wrong == "die":
            machine.alive, machine.running = False, ""
        elif wrong:
            return Reply(False, error=wrong)
        if traffic is Traffic.IN and not self.well(machine):
            return Reply(False, error="the balancer does not find it healthy")
        machine.traffic = traffic
        return Reply(True, {"how": "drained", "sessions": 0})

    # -- the rules

    def watch(self) -> None:
        serving = 0
        for machine in self.machines.values():
            if machine.traffic is Traffic.IN:
                if not machine.alive or self.crashed(machine):
                    machine.traffic = Traffic.UNHEALTHY  # the balancer's own check finds it
                    continue
                assert machine.running, f"{machine.name} is stopped and in traffic"
                serving += 1
        dead = sum(not machine.alive or self.crashed(machine) for machine in self.machines.values())
        assert serving >= self.floor - dead, f"{serving} in traffic, the floor is {self.floor}"
        self.least = min(self.least, serving)

    def consistent(self, record: ReleaseRecord) -> None:
        """What has to be true of every release that is over, whatever happened to it."""
        for server in record.servers:
            machine = self.machines[server.name]
            inside = machine.traffic is Traffic.IN
            if not inside and machine.alive:
                assert server.standing in {ServerStatus.LEFT_OUT, ServerStatus.TOUCHED}, (
                    f"{server} is out of traffic unsaid"
                )
            if server.standing in {ServerStatus.LEFT_OUT, ServerStatus.TOUCHED}:
                assert server.name in record.reason, f"{server.name} is not named: {record.reason}"
            if server.standing is ServerStatus.DONE:
                assert machine.current == record.sha
                assert inside
            if server.standing in {ServerStatus.UNDONE, ServerStatus.WAITING, ServerStatus.SKIPPED}:
                assert machine.current == server.previous
                assert inside or not machine.alive
            if inside and machine.running:
                assert machine.running == machine.current, "an old process of a new revision"
        done = [task for task, _ in self.once]
        assert len(done) == len(set(done)), f"once, and not {done}"

    def on(self, path: Any, news: list[ReleaseEvent] | None = None, journal: Journal | None = None) -> ReleaseContext:
        return ReleaseContext(
            fleet=self,
            master=Master(self),
            balancer=self,
            journal=journal or Journal(Store(path / "releases.sqlite", durable=False), epoch=self.clock.epoch),
            clock=self.clock,
            epoch=self.clock.epoch,
            notify=(lambda event: None) if news is None else news.append,
            interrupts=Interrupts(),
        )


class Master(FakeFleet):
    """Hooks end here."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def answer(self, server: str, call: Call) -> Reply:
        self.world.master.append(call)
        if happens := self.world.when.pop(call.function, None):
            happens()
        wrong = self.world.fault(server, call.function, call)
        return Reply(not wrong, error=wrong)


class Dying(Journal):
    """A journal whose process may die around each commit. Before a step begins is where it was after the one before ended."""

    beginning = False

    def __init__(self, store: Store, *, tick: Callable[[], None] = lambda: None, **how: Any) -> None:
        self.tick = tick
        super().__init__(store, **how)

    def begin(self, *args: Any) -> None:
        self.beginning = True
        super().begin(*args)

    def _commit(self) -> None:
        if not self.beginning:
            self.tick()
        self.beginning = False
        super()._commit()
        self.tick()


class Bomb:
    """Kills at the tick of that number."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


def recipe(**changes: Any) -> Recipe:
    """A recipe for the world; keyword arguments are laid over it (`strategy={"batch": 2}`)."""
    pillar: dict[str, Any] = {
        "application": "app",
        "servers": "app",
        "source": {"repository": "http://git.saltlick.internal/app.git", "directory": "/srv/app", "user": "app"},
        "strategy": {"batch": [1, "100%"], "floor": 1},
        "balancer": {"kind": "elbv2", "name": "www"},
        "build": [{"call": "build.make", "args": ["{sha}"], "name": "make"}],
        "once": [
            {"call": "db.migrate", "args": ["{sha}"], "name": "migrate", "undo": "db.back"},
            {"call": "db.after", "name": "after", "when": "after"},
        ],
        "stop": ["app.stop"],
        "start": ["app.start"],
        "health": {"checks": [{"http": "http://127.0.0.1/health"}]},
    }
    for key, value in changes.items():
        pillar[key] = {**pillar[key], **value} if isinstance(value, dict) and key in pillar else value
    return Recipe.model_validate(pillar)


def asked(world: World, rev: str = "new", *, zones: Sequence[str] = ("",), **more: Any) -> ReleaseRequest:
    servers = tuple(ReleaseServer(name, zones[n % len(zones)]) for n, name in enumerate(world.names))
    more = {"who": "alice", "host": "master", "job": "1", **more}
    return ReleaseRequest(environment="prod", servers=servers, rev=rev, **more)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"prod-app-{n}" for n in range(1, count + 1))


def dies(world: World, server: str, function: str) -> Callable[[str, str, Call], str]:
    """A fault: the server dies in its walk (not when pre-flight asks the same)."""

    def fault(called_on: str, called: str, call: Call) -> str:
        walking = called == "drain" or world.machines[server].traffic is Traffic.OUT
        return "die" if (called_on, called) == (server, function) and walking else ""

    return fault
