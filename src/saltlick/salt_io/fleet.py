"""The fleet over Salt: each server that was named has its reply, whatever happened to it, to its call or to the bus.

The expected servers are fixed first, and only their own returns (or the deadline) take them off the list: nothing that
Salt thinks of a minion that is busy does. One that says nothing at all is asked whether it is there, so that a dead
server is known in half a minute and not after the deadline of a long build.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import salt.utils.args

from saltlick.fleet.answers import parsed
from saltlick.fleet.ports import Call, Reply
from saltlick.salt_io.client import NotPublishedError
from saltlick.salt_io.replies import reply_of
from saltlick.salt_io.signed import NotBelieved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from saltlick.engine.ports import Clock
    from saltlick.salt_io.client import Client, MinionReturn, Subscription
    from saltlick.salt_io.signed import ReplyCheck

PING = Call("test.ping")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTimeouts:
    """How long a server may say nothing. A loaded one takes seconds to answer, so two pings have to go unanswered."""

    ping_after_s: float = 5.0
    longest_between_s: float = 15.0
    growth: float = 1.5
    silent_after_s: float = 20.0
    """Since the first ping that was not answered."""
    again_after_s: float = 2.0
    gone_after_s: float = 5.0
    """The same for one that said nothing when it was last called: whoever is back answers, the others cost less time."""

    @classmethod
    def of(cls, opts: Mapping[str, Any]) -> FleetTimeouts:
        """As the master's configuration has it (`saltlick_silent_after_s`), for servers that are slower or quicker than most."""
        usual = cls()
        try:
            silent_after_s = float(opts.get("saltlick_silent_after_s", usual.silent_after_s))
        except (TypeError, ValueError):
            return usual
        return cls(silent_after_s=silent_after_s, ping_after_s=min(usual.ping_after_s, silent_after_s / 4))


@dataclass(frozen=True, kw_only=True)
class SaltFleet:
    """A `Fleet` of this master's minions."""

    client: Client
    clock: Clock
    check: ReplyCheck
    timeouts: FleetTimeouts = field(default_factory=FleetTimeouts)
    gone: set[str] = field(default_factory=set)
    """Servers that said nothing when they were last called."""

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> Mapping[str, Reply]:
        """Same calls are one job with a list of minions; the deadline counts from here."""
        if not calls:
            return {}
        replies = {server: Reply(False, error=refusal) for server, call in calls.items() if (refusal := misread(call))}
        sound = {server: call for server, call in calls.items() if server not in replies}
        try:
            with self.client.open() as subscription:
                replies |= _Round(subscription, self, deadline_s).run(sound)
        except NotPublishedError as error:
            replies |= {server: Reply(False, error=str(error)) for server in sound if server not in replies}
        return {server: replies[server] for server in calls}


def misread(call: Call) -> str:
    """Why a minion would take a call for another one, or nothing.

    Source: `salt.minion.load_args_and_kwargs` takes *any* text `word=…` among the positional arguments for a named one:
    `cmd.run "A=1 make"` runs nothing, and says that cmd.run needs a command.
    """
    for argument in call.args:
        if isinstance(argument, str) and (name := salt.utils.args.parse_kwarg(argument)[0]):
            return f"{call.function}: Salt takes {argument!r} for an argument named {name}: write it by its name, under kwargs"
    return ""


def grouped(calls: Mapping[str, Call]) -> list[tuple[Call, list[str]]]:
    """Same calls together, in the order in which they were first named."""
    groups: dict[tuple[str, str, str], tuple[Call, list[str]]] = {}
    for server, call in calls.items():
        key = (call.function, repr((call.args, call.hide)), repr(sorted(call.kwargs.items())))
        groups.setdefault(key, (call, []))[1].append(server)
    return list(groups.values())


class _Round:
    """One round of calls, from publishing to the last reply."""

    def __init__(self, subscription: Subscription, fleet: SaltFleet, deadline_s: float) -> None:
        self._subscription = subscription
        self._clock = fleet.clock
        self._check = fleet.check
        self._timeouts = fleet.timeouts
        self._gone = fleet.gone
        self._deadline_s = deadline_s
        self._began = self._clock.now()
        self._replies: dict[str, Reply] = {}
        self._waiting: dict[str, tuple[str, Call]] = {}  # by server: the job it has, and its call
        self._answers: dict[
            str, tuple[str, Call, Mapping[str, Any]]
        ] = {}  # by server: its job, its call and what it said
        self._refused: dict[str, str] = {}  # by server: why a return in its name was not believed
        self._pings: dict[str, bool] = {}  # by job: whether it is signed
        self._unanswered: dict[str, list[float]] = {}  # by server: when it was pinged since its last word

    def run(self, calls: Mapping[str, Call]) -> dict[str, Reply]:
        """Publish all, hear all; at most the deadline."""
        for call, servers in grouped(calls):
            self._publish(call, servers)
        deadline = self._began + self._deadline_s
        again = not self._gone.isdisjoint(self._waiting)
        interval_s = self._timeouts.again_after_s if again else self._timeouts.ping_after_s
        ping_at = self._clock.now() + interval_s
        while self._waiting and (now := self._clock.now()) < deadline:
            if now >= ping_at:
                self._ask_the_silent(now)
                interval_s = min(interval_s * self._timeouts.growth, self._timeouts.longest_between_s)
                ping_at = min(now + interval_s, self._next_verdict())
            else:
                self._hear(min(deadline, ping_at) - now)
        self._look_up()
        self._give_up(tuple(self._waiting))
        return self._replies

    def _publish(self, call: Call, servers: list[str]) -> None:
        try:
            out = self._subscription.publish(servers, self._check.asking(call))
        except NotPublishedError as error:
            self._replies |= {server: Reply(False, error=str(error)) for server in servers}
            return
        for server in servers:
            if server in out.servers:
                self._waiting[server] = (out.jid, call)
            else:
                self._replies[server] = Reply(False, error="the master has no accepted key of it", silent=True)

    def _hear(self, wait_s: float) -> None:
        heard = self._subscription.next_return(wait_s)
        if heard is None:
            return
        if heard.jid in self._pings:
            self._pinged(heard)
            return
        self._settle(heard.server, heard.jid, heard.content)
        self._contradiction(heard)

    def _pinged(self, heard: MinionReturn) -> None:
        if self._pings[heard.jid] and self._believed(heard.server, heard.jid, PING, heard.content) is None:
            return
        self._unanswered.pop(heard.server, None)
        self._gone.discard(heard.server)

    def _settle(self, server: str, jid: str, content: Mapping[str, Any]) -> None:
        """Take what a server said for its reply, if it is waited for, and said it itself."""
        expected, call = self._waiting.get(server, ("", PING))
        if expected != jid or (said := self._believed(server, jid, call, content)) is None:
            return
        del self._waiting[server]
        self._gone.discard(server)
        self._answers[server] = (jid, call, said)
        self._replies[server] = parsed(server, call, reply_of(call.function, said, self._since_ms()))

    def _believed(self, server: str, jid: str, call: Call, content: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the server itself said; None for what others said in its name, which is told at the end if it says nothing."""
        try:
            return self._check.believed(server, jid, call, content)
        except NotBelieved as error:
            self._refused[server] = str(error)
            log.warning("a return of %s in the name of %s is refused: %s", call.function, server, error)
            return None

    def _contradiction(self, heard: MinionReturn) -> None:
        """Two different answers to one question: neither counts."""
        jid, call, said = self._answers.get(heard.server, ("", PING, {}))
        if jid != heard.jid:
            return
        again = self._believed(heard.server, jid, call, heard.content)
        if again is not None and any(again.get(name) != said.get(name) for name in ("return", "retcode", "success")):
            error = f"{call.function}: {heard.server} gave two different answers to one question: look at that server"
            self._replies[heard.server] = Reply(False, error=error, duration_ms=self._since_ms())

    def _ask_the_silent(self, now: float) -> None:
        """Those that answered neither the call nor two pings for long enough are gone; the others are asked again."""
        self._look_up()
        silent = [server for server in self._waiting if now >= self._lost_at(server)]
        self._gone |= set(silent)
        self._give_up(silent)
        if not self._waiting:
            return
        try:
            self._ping(signed=True)
            self._ping(signed=False)
        except NotPublishedError:  # a master that restarts: nobody is to be blamed for not having heard
            self._unanswered.clear()
            return
        for server in self._waiting:
            self._unanswered.setdefault(server, []).append(now)

    def _ping(self, *, signed: bool) -> None:
        """Who has no module that signs yet cannot sign a ping either."""
        servers = [server for server, (_, call) in self._waiting.items() if self._check.signs(call) is signed]
        if servers:
            published = self._subscription.publish(servers, self._check.asking(PING) if signed else PING)
            self._pings[published.jid] = signed

    def _lost_at(self, server: str) -> float:
        """When its silence will have been long enough, if it lasts."""
        asked = self._unanswered.get(server, [])
        limit_s = self._timeouts.gone_after_s if server in self._gone else self._timeouts.silent_after_s
        return asked[0] + limit_s if len(asked) > 1 else math.inf

    def _next_verdict(self) -> float:
        return min(map(self._lost_at, self._waiting), default=math.inf)

    def _look_up(self) -> None:
        """What came while nobody heard (the bus went away for a moment) is in the master's job cache."""
        for jid in {jid for jid, _ in self._waiting.values()}:
            for server, content in self._subscription.cached_returns(jid).items():
                self._settle(server, jid, content)

    def _give_up(self, servers: Iterable[str]) -> None:
        for server in servers:
            _, call = self._waiting.pop(server)
            refused = f"; what came in its name was refused: {self._refused[server]}" if server in self._refused else ""
            error = f"{call.function}: no answer in {self._since_ms() / 1000:.0f} s{self._alive(server)}{refused}"
            self._replies[server] = Reply(False, error=error, silent=True, duration_ms=self._since_ms())

    def _alive(self, server: str) -> str:
        asked = self._unanswered.get(server, [])
        if not self._pings or (asked and self._clock.now() - asked[0] < self._timeouts.ping_after_s):
            return ""  # not asked, or asked a moment ago
        if asked:
            return ", nor to test.ping: the server is down, or its minion is"
        return ", though its minion answers to test.ping: the job may still run there"

    def _since_ms(self) -> int:
        return round((self._clock.now() - self._began) * 1000)
