"""HAProxy over its runtime socket. Where several HAProxies share the traffic, a server is where all of them have it.

Source: HAProxy Management Guide, "set server <b>/<s> state { ready | drain | maint }": drain takes no new sessions and lets those
that are there end; maint takes none at all. Neither survives a restart of HAProxy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saltlick.environment.pillar import layout
from saltlick.fleet.application import Application
from saltlick.fleet.balancers.context import BalancerContext, Watch, drained, restored, words_of
from saltlick.fleet.balancers.pillar import SELF, HaproxySpec
from saltlick.fleet.placeholders import fill_in
from saltlick.fleet.ports import Call, Reply, Seen, Traffic

CALL_S = 30.0

_Pair = tuple[str, str]
"""An HAProxy (its server's name), and the name of a server in its backend."""


class HaproxyBalancer:
    """A `Balancer` over the minion module `haproxy_runtime` on the servers that run HAProxy."""

    def __init__(self, spec: HaproxySpec, ground: BalancerContext, application: Application) -> None:
        self._spec = spec
        self._ground = ground
        self._application = application

    def look(self, servers: Sequence[str]) -> Mapping[str, Seen]:
        """One question to each HAProxy, whatever the number of servers."""
        proxies = sorted({proxy for server in servers for proxy, _ in self._pairs(server)})
        asked = Call("haproxy_runtime.show", (self._spec.backend,), {"socket": self._spec.socket})
        shown = self._ground.fleet.run(dict.fromkeys(proxies, asked), deadline_s=CALL_S) if proxies else {}
        return {server: together([_shown(shown, pair) for pair in self._pairs(server)]) for server in servers}

    def drain(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        """Drain, wait until no session is left, then maint, in time or not."""
        failed = self._set_state("drain", servers)
        accepted = [server for server in servers if server not in failed]
        replies = drained(Watch(self.look, self._ground.clock), accepted, _quiet, self._spec.drain_s)
        return {**replies, **failed, **self._set_state("maint", accepted)}

    def restore(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        failed = self._set_state("ready", servers)
        accepted = [server for server in servers if server not in failed]
        return {**restored(Watch(self.look, self._ground.clock), accepted, self._spec.restore_s), **failed}

    def _set_state(self, verb: str, servers: Sequence[str]) -> dict[str, Reply]:
        """Tell every HAProxy; returns the servers of which some HAProxy did not take it, with its words."""
        failed: dict[str, Reply] = {}
        for round_ in self._rounds(servers):
            calls = {proxy: self._call(verb, name) for proxy, (_, name) in round_.items()}
            for proxy, reply in self._ground.fleet.run(calls, deadline_s=CALL_S).items():
                server = round_[proxy][0]
                if not reply.ok and not (reply.silent and self._is_gone(proxy, server, verb)):
                    why = reply.error.removeprefix(f"haproxy_runtime.{verb}: ")
                    error = f"HAProxy on {proxy}: {verb}: {why or 'no answer'}"
                    failed.setdefault(server, Reply(False, error=error, silent=reply.silent))
        return failed

    def _is_gone(self, proxy: str, server: str, verb: str) -> bool:
        """A dead server that has an HAProxy beside others: what does not answer sends nobody there either."""
        return verb != "ready" and proxy == server and len(self._pairs(server)) > len(self._spec.server)

    def _rounds(self, servers: Sequence[str]) -> Iterator[dict[str, tuple[str, str]]]:
        """A server takes one call at a time: proxy → (released server, its name in the backend), round by round."""
        left = [(proxy, server, name) for server in servers for proxy, name in self._pairs(server)]
        while left:
            round_: dict[str, tuple[str, str]] = {}
            for proxy, server, name in left:
                round_.setdefault(proxy, (server, name))
            left = [call for call in left if round_[call[0]] != (call[1], call[2])]
            yield round_

    def _pairs(self, server: str) -> list[_Pair]:
        words = words_of(self._application, self._ground.environment, server)
        names = [str(fill_in(name, words)) for name in self._spec.server]
        return [(proxy, name) for proxy in self._proxies(server) for name in names]

    def _proxies(self, server: str) -> Sequence[str]:
        if SELF in self._spec.on:
            return (server,)
        declared = self._ground.declared()
        return tuple(name for group in self._spec.on for name in layout.server_names(declared, group))

    def _call(self, verb: str, name: str) -> Call:
        return Call(f"haproxy_runtime.{verb}", (self._spec.backend, name), {"socket": self._spec.socket})


def together(views: Sequence[Seen]) -> Seen:
    """One server as all HAProxies show it: in or out only if all say so, and the sum of its sessions."""
    kinds = {view.traffic for view in views}
    counts = [view.sessions for view in views if view.sessions is not None]
    sessions = sum(counts) if counts else None
    detail = "; ".join(dict.fromkeys(view.detail for view in views if view.detail))
    if len(kinds) == 1:
        return Seen(kinds.pop(), detail, sessions)
    for kind in (Traffic.UNKNOWN, Traffic.DRAINING, Traffic.UNHEALTHY):
        if kind in kinds:
            return Seen(kind, detail, sessions)
    return Seen(Traffic.UNKNOWN, f"HAProxies differ: {detail}", sessions)


def _quiet(seen: Seen) -> bool:
    return seen.sessions == 0 and seen.traffic is not Traffic.IN


def _shown(replies: Mapping[str, Reply], pair: _Pair) -> Seen:
    proxy, name = pair
    reply = replies[proxy]
    if not reply.ok:
        return Seen(Traffic.UNKNOWN, f"HAProxy on {proxy}: {reply.error or 'no answer'}")
    row: Mapping[str, Any] | None = reply.value.get(name) if isinstance(reply.value, Mapping) else None
    if row is None:
        return Seen(Traffic.UNKNOWN, f"HAProxy on {proxy} has no server {name}")
    state = f"{row['admin']}, {row['status']}" if row["admin"] != "ready" else str(row["status"])
    return Seen(_traffic(row), f"{proxy}: {name} {state}", int(row["sessions"]) + int(row["queue"]))


def _traffic(row: Mapping[str, Any]) -> Traffic:
    """What was ordered comes first: HAProxy shows a drained server that fails its checks as DOWN."""
    if row["admin"] != "ready":
        return Traffic.OUT if row["admin"] == "maint" else Traffic.DRAINING
    return Traffic.IN if str(row["status"]).startswith(("UP", "no check")) else Traffic.UNHEALTHY
