"""Connections with other environments: the peering and both sides' routes, all owned by the one that declares it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from saltlick.engine.resource import Key, Ref, Resource
from saltlick.environment.pillar import layout
from saltlick.environment.pillar.expand.draft import Draft
from saltlick.environment.pillar.expand.network import VPC
from saltlick.environment.pillar.model import Environment


def resources(environment: Environment, peers: Mapping[str, Environment]) -> Iterator[Resource]:
    """A peering per declared peer, and a route through it in every table here and there."""
    draft = Draft(environment)
    for name in environment.peers:
        peer = peers[name]
        yield draft("peering", name, draft.titled(name, "peering"), vpc=draft.ref(VPC), peer_vpc=Ref(Key(name, VPC)))
        for table in layout.tables(environment):
            yield _route(draft, environment, table.name, peer, through=name)
        for table in layout.tables(peer):
            yield _route(draft, peer, table.name, environment, through=name)


def ways(environment: Environment, table: str, peers: Mapping[str, Environment]) -> Iterator[str]:
    """Addresses of the routes by which servers at that table and the peers reach each other."""
    for name in environment.peers:
        yield f"route/{table}:{peers[name].cidr}"
        yield from (f"route/{name}.{peer_table.name}:{environment.cidr}" for peer_table in layout.tables(peers[name]))


def _route(draft: Draft, source: Environment, table: str, destination: Environment, *, through: str) -> Resource:
    """A route from a table of `source` to the CIDR of `destination`; a peer's table is named `control.public`."""
    own = source.name == draft.environment.name
    return draft(
        "route",
        f"{'' if own else source.name + '.'}{table}:{destination.cidr}",
        f"{source.name}-{table} {destination.cidr}",
        table=Ref(Key(source.name, f"route_table/{table}")),
        destination=str(destination.cidr),
        peering=draft.ref(f"peering/{through}"),
    )
