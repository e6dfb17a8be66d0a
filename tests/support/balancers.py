"""The one fake balancer, and a real balancer of a recipe over fakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from support.clock import FakeClock
from support.fleet import FakeFleet

from saltlick.fleet.balancers import BalancerContext, balancer
from saltlick.fleet.ports import Reply, Seen
from saltlick.release.pillar import Recipe

SERVERS = ("test-app-1", "test-app-2")
SOURCE = {"repository": "x", "directory": "/srv/app", "user": "app"}


class FakeBalancer:
    """A balancer that nobody expects to be asked. A test's own balancer overrides what it does."""

    def look(self, servers: Sequence[str]) -> Mapping[str, Seen]:
        raise AssertionError(f"nobody expects a look at {servers}")

    def drain(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        raise AssertionError(f"nobody expects {servers} to be drained")

    def restore(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        raise AssertionError(f"nobody expects {servers} to be restored")


def balancer_of(spec, clock=None, **ports):
    recipe = Recipe.model_validate({"application": "app", "servers": "app", "source": SOURCE, "balancer": spec})
    given = {"fleet": FakeFleet(), "master": FakeFleet(), "cloud": None, "declared": None, **ports}
    return balancer(recipe, BalancerContext(environment="test", clock=clock or FakeClock(), **given))
