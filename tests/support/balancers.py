"""A balancer of a recipe over a fleet whose answers a test gives."""

from __future__ import annotations

from support.clock import FakeClock

from saltlick.fleet.balancers import BalancerContext, balancer
from saltlick.fleet.ports import Reply
from saltlick.release.pillar import Recipe

SERVERS = ("test-app-1", "test-app-2")
SOURCE = {"repository": "x", "directory": "/srv/app", "user": "app"}
SILENT = Reply(False, error="no answer", silent=True)


class AnsweringFleet:
    """Answers calls by function name: a value, a Reply, or a callable of (server, call)."""

    def __init__(self, **answers):
        self.answers = {name.replace("__", "."): answer for name, answer in answers.items()}
        self.asked: list[tuple[str, str]] = []

    def run(self, calls, *, deadline_s):
        return {server: self._reply(server, call) for server, call in calls.items()}

    def _reply(self, server, call):
        self.asked.append((server, str(call)))
        answer = self.answers[call.function]
        answer = answer(server, call) if callable(answer) else answer
        return answer if isinstance(answer, Reply) else Reply(True, answer)


def balancer_of(spec, clock=None, **ports):
    recipe = Recipe.model_validate({"application": "app", "servers": "app", "source": SOURCE, "balancer": spec})
    given = {"fleet": AnsweringFleet(), "master": AnsweringFleet(), "cloud": None, "declared": None, **ports}
    return balancer(recipe, BalancerContext(environment="test", clock=clock or FakeClock(), **given))
