"""Keeps every load balancer's HAProxy in step with its target groups, and remembers how the targets are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from saltlick.sandbox import balancer as haproxy
from saltlick.sandbox import runtime
from saltlick.sandbox.balancer import DRAINING, INITIAL, NOT_IN_USE, STOPPED, BackendCheck, BackendHealth, BackendServer
from saltlick.sandbox.cloud import SandboxBalancer, SandboxSnapshot, SandboxTarget, SandboxTargetGroup
from saltlick.sandbox.desired import ALIVE, balancer_key

_SERVER = re.compile(r"^    server .*\n", re.MULTILINE)
PATIENCE_S = 5.0


class Registry:
    """The health of every target of every group, over time. Pure but for its memory; time is an argument."""

    def __init__(self) -> None:
        self._health: dict[tuple[str, SandboxTarget], BackendHealth] = {}
        self._until: dict[tuple[str, SandboxTarget], float] = {}

    def follow(self, snapshot: SandboxSnapshot, now: float) -> None:
        """Take in registrations and deregistrations since the last call."""
        registered = {(group.arn, target): group for group in snapshot.groups for target in group.targets}
        drain_s = {group.arn: group.drain_s for group in snapshot.groups}
        for key in [key for key in self._health if key not in registered]:
            self._until.setdefault(key, now + drain_s.get(key[0], 0))
            self._health[key] = DRAINING
            if now >= self._until[key] or key[0] not in drain_s:
                del self._health[key], self._until[key]
        stopped = {i.id for i in snapshot.instances if i.state not in ALIVE}
        for key in registered:
            if key not in self._health or self._until.pop(key, None) is not None or key[1].id in stopped:
                self._health[key] = INITIAL

    def judge(self, group: SandboxTargetGroup, checks: Mapping[tuple[str, str], BackendCheck]) -> None:
        """Take in what HAProxy says of the targets of one group. One that drains is done with its last request."""
        for key in [key for key in self._health if key[0] == group.arn]:
            check = checks.get((haproxy.backend(group), haproxy.server_name(key[1])))
            if key[1] in group.targets:
                self._health[key] = haproxy.judge(self._health[key], check)
            elif check and check.drained and key in self._until:
                del self._health[key], self._until[key]

    def of(self, arn: str, snapshot: SandboxSnapshot) -> dict[SandboxTarget, BackendHealth] | None:
        """Health by target as DescribeTargetHealth tells it; None for a group that does not exist."""
        if arn not in {group.arn for group in snapshot.groups}:
            return None
        used = any(x.target_group == arn for balancer in snapshot.balancers for x in balancer.listeners)
        stopped = {i.id for i in snapshot.instances if i.state not in ALIVE}
        mine = {target: health for (group, target), health in list(self._health.items()) if group == arn}
        return {t: NOT_IN_USE if not used else STOPPED if t.id in stopped else health for t, health in mine.items()}

    def servers(self, group: SandboxTargetGroup, snapshot: SandboxSnapshot) -> tuple[BackendServer, ...]:
        """The targets to put into HAProxy: registered or draining, with an address that answers."""
        address = {i.id: i.private_ip for i in snapshot.instances if i.state in ALIVE}
        known = [(target, health) for (arn, target), health in list(self._health.items()) if arn == group.arn]
        return tuple(
            BackendServer(target=target, address=address.get(target.id, target.id), health=health)
            for target, health in sorted(known, key=lambda pair: pair[0])
            if target.id in address or not target.id.startswith("i-")
        )


class Balancing:
    """Configuration files and commands at runtime out. `reload` receives the key of a balancer whose listeners changed.

    Servers come and go by the runtime socket: a reload would close the connections that clients keep open.
    `problems` holds, by key, what is wrong with one that does not answer, or does not take a server that it should.
    """

    def __init__(self, root: Path, reload: Callable[[str], None]) -> None:
        self.registry = Registry()
        self.problems: dict[str, str] = {}
        self._root, self._reload = root, reload
        self._loaded: dict[str, str] = {}
        self._astray: dict[str, float] = {}

    def configure(self, snapshot: SandboxSnapshot) -> None:
        """Write every balancer's configuration; where more than servers changed, let HAProxy take it without a gap."""
        groups = {group.arn: group for group in snapshot.groups}
        for balancer in snapshot.balancers:
            key = balancer_key(balancer)
            text = haproxy.render(balancer, groups, self._servers(snapshot))
            folder = self._root / key
            folder.mkdir(parents=True, exist_ok=True)
            _put(folder / "haproxy.cfg", text)
            shape = _SERVER.sub("", text)
            if self._loaded.get(key) != shape:
                self._loaded[key] = shape
                self._reload(key)

    def check(self, snapshot: SandboxSnapshot, now: float) -> None:
        """Ask every HAProxy how its servers are; give it those that are missing, and weight to those that are healthy.

        One that does not answer, or refuses a server, for a while is reloaded: its file has them all.
        """
        for balancer in snapshot.balancers:
            key = balancer_key(balancer)
            try:
                problem = self._check(self._root / key / "stats.sock", _used(balancer), snapshot)
            except OSError as error:
                problem = f"its HAProxy does not answer: {error}"
            if not problem:
                self._astray.pop(key, None)
                self.problems.pop(key, None)
            elif now >= self._astray.setdefault(key, now) + PATIENCE_S:
                self._astray[key] = now
                self.problems[key] = problem
                self._reload(key)

    def forget(self, key: str) -> None:
        """The balancer's container is gone: its successor starts from the file."""
        for known in (self._loaded, self._astray, self.problems):
            known.pop(key, None)

    def _check(self, path: Path, used: set[str], snapshot: SandboxSnapshot) -> str:
        """Look at one HAProxy. Returns what is wrong with it. Raises: OSError when it does not answer."""
        checks = haproxy.parse_statistics(runtime.ask(path, "show stat"))
        refused: list[str] = []
        for group in snapshot.groups:
            if group.arn in used:
                self.registry.judge(group, checks)
                known = {name: check for (backend, name), check in checks.items() if backend == haproxy.backend(group)}
                refused += runtime.bring(path, group, self.registry.servers(group, snapshot), known)
        return f"its HAProxy does not take {', '.join(refused)}" if refused else ""

    def _servers(self, snapshot: SandboxSnapshot) -> dict[str, tuple[BackendServer, ...]]:
        return {group.arn: self.registry.servers(group, snapshot) for group in snapshot.groups}


def _put(path: Path, text: str) -> None:
    """Replace the file atomically: HAProxy accepts an empty file as a configuration without frontends."""
    if not path.exists() or path.read_text() != text:
        new = path.with_suffix(".new")
        new.write_text(text)
        new.replace(path)


def _used(balancer: SandboxBalancer) -> set[str]:
    return {listener.target_group for listener in balancer.listeners if listener.target_group}
