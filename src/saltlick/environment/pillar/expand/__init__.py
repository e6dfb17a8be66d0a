"""Expands an `Environment` into its resources, with typed references between them."""

from __future__ import annotations

from collections.abc import Mapping

from saltlick.engine.resource import Resource
from saltlick.environment.pillar.expand import balancers, buckets, firewall, longform, network, peering, servers
from saltlick.environment.pillar.expand.servers import FirstBoot
from saltlick.environment.pillar.layout import DeclaredServer
from saltlick.environment.pillar.model import Environment


def expand_environment(
    environment: Environment, peers: Mapping[str, Environment], boot: FirstBoot
) -> tuple[Resource, ...]:
    """Every resource of one environment, those it owns in its peers' route tables included.

    Raises:
        InvalidInput: when first boot lacks something (see `Boot.user_data`).
    """
    return longform.merged(environment, _short_form(environment, peers, boot))


def _short_form(environment: Environment, peers: Mapping[str, Environment], boot: FirstBoot) -> tuple[Resource, ...]:
    return (
        *network.resources(environment),
        *peering.resources(environment, peers),
        *firewall.resources(environment, peers),
        *servers.resources(environment, peers, boot),
        *balancers.resources(environment),
        *buckets.resources(environment),
    )


def addresses(environment: Environment, peers: Mapping[str, Environment], *, long_form: bool = True) -> frozenset[str]:
    """The addresses of everything in an environment. Peers that are not known are left out."""
    near = tuple(name for name in environment.peers if name in peers)
    known = environment.model_copy(update={"peers": near})
    known_addresses = {resource.key.address for resource in _short_form(known, peers, _NoBoot())}
    return frozenset(known_addresses | {f"{entry.kind}/{entry.name}" for entry in environment.resources if long_form})


class _NoBoot:
    """Addresses do not depend on user data."""

    def user_data(self, server: DeclaredServer, environment: Environment, peers: Mapping[str, Environment]) -> None:
        del server, environment, peers
