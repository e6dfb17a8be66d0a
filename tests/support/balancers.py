"""A balancer of a recipe over a fleet whose answers a test gives."""

from __future__ import annotations

from support.clock import FakeClock
from support.fleet import FakeFleet

from saltlick.fleet.balancers import BalancerContext, balancer
from saltlick.release.pillar import Recipe

SERVERS = ("test-app-1", "test-app-2")
SOURCE = {"repository": "x", "directory": "/srv/app", "user": "app"}


def balancer_of(spec, clock=None, **ports):
    recipe = Recipe.model_validate({"application": "app", "servers": "app", "source": SOURCE, "balancer": spec})
    given = {"fleet": FakeFleet(), "master": FakeFleet(), "cloud": None, "declared": None, **ports}
    return balancer(recipe, BalancerContext(environment="test", clock=clock or FakeClock(), **given))
