"""What puts servers in and out of traffic: one file per kind, all of them `release.ports.Balancer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.release.balancers.command import CommandBalancer
from saltlick.release.balancers.elbv2 import Elbv2Balancer
from saltlick.release.balancers.ground import Ground
from saltlick.release.balancers.haproxy import HaproxyBalancer
from saltlick.release.balancers.none import NoneInFront
from saltlick.release.balancers.service import ServiceBalancer
from saltlick.spec.release.balancing import Command, Elbv2, Haproxy, Service

if TYPE_CHECKING:
    from saltlick.release.ports import Balancer
    from saltlick.spec.release import Recipe

__all__ = ["Ground", "balancer"]


def balancer(recipe: Recipe, ground: Ground) -> Balancer:
    """The balancer that a recipe names. Nothing is asked of anybody yet."""
    spec = recipe.balancer
    if isinstance(spec, Elbv2):
        return Elbv2Balancer(spec, ground)
    if isinstance(spec, Haproxy):
        return HaproxyBalancer(spec, ground, recipe)
    if isinstance(spec, Service):
        return ServiceBalancer(spec, ground, recipe)
    if isinstance(spec, Command):
        return CommandBalancer(spec, ground, recipe)
    return NoneInFront()
