"""What runs on servers that go off and come back: the recipe's application, and for other groups whether a server is well.

The balancer, the steps and the checks are those of releases: what takes a server out of traffic for a new
revision takes it out for the night. A group that no recipe knows leaves the load balancers that are declared in front of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from saltlick.engine.wait import until
from saltlick.errors import WaitTimeout
from saltlick.fleet.application import Application
from saltlick.fleet.balancers import BalancerContext, balancer
from saltlick.fleet.balancers.elbv2 import Elbv2Balancer
from saltlick.fleet.balancers.pillar import Elbv2Spec
from saltlick.fleet.health import HealthSpec
from saltlick.fleet.judge import judged, labelled
from saltlick.fleet.placeholders import fill, fill_check, placeholders_now
from saltlick.fleet.ports import Balancer, Call, Reply

if TYPE_CHECKING:
    from saltlick.environment.pillar import Environment
    from saltlick.fleet.health import HealthCheck
    from saltlick.fleet.step import Step
    from saltlick.offhours.pillar import OffHours

ASK_S = 60.0
PING_S = 10.0
GRACE_S = 15.0
PING = Call("test.ping")

Replies = dict[str, Reply]


@dataclass(frozen=True, kw_only=True)
class FleetApplicationControl:
    """An `Application` over the fleet and the balancers."""

    environment: Environment
    hours: OffHours
    recipe: Application | None
    current_revision: Call | None
    """Asks a server which revision of the application it runs."""
    ground: BalancerContext
    notify: Callable[[str], None] = lambda text: None
    _balancers: dict[str, tuple[Balancer, ...]] = field(default_factory=dict)

    def leave(self, group: str, servers: Sequence[str]) -> Mapping[str, Reply]:
        """Who says nothing is stopped all the same: AWS shuts it down, and a dead minion must not keep others on all night."""
        self.notify(f"{group}: taking {', '.join(servers)} out of traffic")
        replies = self._drained(group, servers)
        if not (recipe := self._recipe_of(group)):
            return replies
        for step in recipe.stop:
            going = [server for server in servers if replies[server].ok]
            replies |= self._unless_silent(self._run_step(recipe, step, going))
        return replies

    def enter(self, group: str, servers: Sequence[str], *, deadline_s: float) -> Mapping[str, Reply]:
        """Awake, well (with the recipe's own steps for what did not start by itself), and then into traffic."""
        replies = self._awake(servers, deadline_s)
        self._still(replies, self._well(group, _good(replies)))
        for front in self._fronts(group):
            self._still(replies, dict(front.restore(_good(replies))))
        return replies

    def _drained(self, group: str, servers: Sequence[str]) -> Replies:
        replies: Replies = dict.fromkeys(servers, Reply(True))
        for front in self._fronts(group):
            self._still(replies, self._unless_silent(front.drain(_good(replies))))
        return replies

    def _unless_silent(self, replies: Mapping[str, Reply]) -> Replies:
        for server, reply in replies.items():
            if reply.silent:
                self.notify(f"{server}: {reply.error}: it stops with its instance")
        return {server: Reply(True) if reply.silent else reply for server, reply in replies.items()}

    def _awake(self, servers: Sequence[str], deadline_s: float) -> Replies:
        """Until each answers; an instance that runs is not a minion that listens."""
        seen: Replies = {}

        def probe() -> list[str]:
            asked = [server for server in servers if not (server in seen and seen[server].ok)]
            seen.update(self.ground.fleet.run(dict.fromkeys(asked, PING), deadline_s=PING_S))
            return [server for server in asked if not seen[server].ok]

        try:
            until(probe, lambda silent: not silent, what="minions", deadline_s=deadline_s, clock=self.ground.clock)
        except WaitTimeout as late:
            why = f"it runs, and its minion did not answer in {late.waited_s:.0f} s"
            return {name: reply if reply.ok else Reply(False, error=why, silent=True) for name, reply in seen.items()}
        return seen

    def _well(self, group: str, servers: Sequence[str]) -> Replies:
        recipe = self._recipe_of(group)
        if recipe is None:
            health = HealthSpec.model_validate({"checks": self.hours.checks.get(group, ())})
            return self._asked(health, {server: {"server": server} for server in servers})
        words = self._words(recipe, servers)
        replies = self._asked(recipe.health, words)
        ill = [server for server, reply in replies.items() if not reply.ok]
        for step in recipe.start if ill else ():
            self.notify(f"{', '.join(ill)}: did not start by itself: {step.label}")
            self._still(replies, self._run_step(recipe, step, ill))
        return replies | (self._asked(recipe.health, {server: words[server] for server in ill}) if ill else {})

    def _asked(self, health: HealthSpec, words: Mapping[str, Mapping[str, str]]) -> Replies:
        """One check after the other; the first of them has the whole deadline."""
        replies: Replies = dict.fromkeys(words, Reply(True))
        for check in health.checks:
            self._still(replies, self._answered(check, health, {name: words[name] for name in _good(replies)}))
        return replies

    def _answered(self, check: HealthCheck, health: HealthSpec, words: Mapping[str, Mapping[str, str]]) -> Replies:
        calls = {
            server: fill_check(check, health, placeholders, delayed=False) for server, placeholders in words.items()
        }
        return dict(self.ground.fleet.run(calls, deadline_s=health.deadline_s + GRACE_S)) if calls else {}

    def _run_step(self, recipe: Application, step: Step, servers: Sequence[str]) -> Replies:
        words = self._words(recipe, servers)
        calls = {server: fill(step, words[server]) for server in servers}
        replies = self.ground.fleet.run(calls, deadline_s=step.deadline_s) if calls else {}
        return {server: _labelled(step, judged(reply, step)) for server, reply in replies.items()}

    def _words(self, recipe: Application, servers: Sequence[str]) -> dict[str, dict[str, str]]:
        """With the revision that each runs, where it tells."""
        asked = self.current_revision
        replies = self.ground.fleet.run(dict.fromkeys(servers, asked), deadline_s=ASK_S) if servers and asked else {}
        runs = {server: str(reply.value or "") for server, reply in replies.items() if reply.ok}
        return {name: placeholders_now(recipe, self.environment.name, name, runs.get(name, "")) for name in servers}

    def _recipe_of(self, group: str) -> Application | None:
        return self.recipe if self.recipe and self.recipe.servers == group else None

    def _fronts(self, group: str) -> tuple[Balancer, ...]:
        if group not in self._balancers:
            self._balancers[group] = tuple(self._made(group))
        return self._balancers[group]

    def _made(self, group: str) -> Iterator[Balancer]:
        if recipe := self._recipe_of(group):
            yield balancer(recipe, self.ground)
            return
        for name, declared in self.environment.balancers.items():
            if group in declared.servers:
                spec = Elbv2Spec.model_validate({"kind": "elbv2", "name": name, "drain_s": max(1, declared.drain_s)})
                yield Elbv2Balancer(spec, self.ground)

    @staticmethod
    def _still(replies: Replies, more: Mapping[str, Reply]) -> None:
        """Who was good so far has its newest reply."""
        replies |= {server: reply for server, reply in more.items() if replies[server].ok}


def _good(replies: Mapping[str, Reply]) -> tuple[str, ...]:
    return tuple(server for server, reply in replies.items() if reply.ok)


def _labelled(step: Step, reply: Reply) -> Reply:
    if reply.ok:
        return reply
    return Reply(False, error=labelled(step.label, reply.error), silent=reply.silent, duration_ms=reply.duration_ms)
