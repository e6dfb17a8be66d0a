"""What puts servers in and out of traffic: one file per kind, all of them `release.ports.Balancer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.fleet.balancers.command import CommandBalancer
from saltlick.fleet.balancers.context import BalancerContext
from saltlick.fleet.balancers.elbv2 import Elbv2Balancer
from saltlick.fleet.balancers.haproxy import HaproxyBalancer
from saltlick.fleet.balancers.none import NoBalancer
from saltlick.fleet.balancers.pillar import CommandSpec, Elbv2Spec, HaproxySpec, ServiceSpec
from saltlick.fleet.balancers.service import ServiceBalancer

if TYPE_CHECKING:
    from saltlick.fleet.application import Application
    from saltlick.fleet.ports import Balancer

__all__ = ["BalancerContext", "balancer"]


def balancer(application: Application, ground: BalancerContext) -> Balancer:
    """The balancer that a application names. Nothing is asked of anybody yet."""
    spec = application.balancer
    if isinstance(spec, Elbv2Spec):
        return Elbv2Balancer(spec, ground)
    if isinstance(spec, HaproxySpec):
        return HaproxyBalancer(spec, ground, application)
    if isinstance(spec, ServiceSpec):
        return ServiceBalancer(spec, ground, application)
    if isinstance(spec, CommandSpec):
        return CommandBalancer(spec, ground, application)
    return NoBalancer()
