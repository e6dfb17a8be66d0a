"""From an `Environment` to the resources it consists of, with typed references between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.spec.expand import balancers, firewall, longform, network, peering, servers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.engine.resource import Resource
    from saltlick.spec.boot import Boot
    from saltlick.spec.model import Environment


def expand(environment: Environment, peers: Mapping[str, Environment], boot: Boot) -> tuple[Resource, ...]:
    """Every resource of one environment, those it owns in its peers' route tables included.

    Raises:
        InvalidInput: when first boot lacks something (see `Boot.user_data`), or the long form does not fit its kinds.
    """
    short_form = (
        *network.resources(environment),
        *peering.resources(environment, peers),
        *firewall.resources(environment, peers),
        *servers.resources(environment, peers, boot),
        *balancers.resources(environment),
    )
    return longform.merged(environment, short_form)
