"""Checks an environment against its peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from saltlick.environment.pillar import layout
from saltlick.environment.pillar.checks.findings import PillarFinding, at, repeated
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import BootAs
from saltlick.schema.problems import did_you_mean


def names(environment: Environment) -> Iterator[PillarFinding]:
    """What can be said of the list of peers without knowing them."""
    yield from repeated(environment.peers, ("peers",))
    if environment.name in environment.peers:
        yield at("peers", message=f"{environment.name} cannot be its own peer")


def findings(environment: Environment, peers: Mapping[str, Environment]) -> Iterator[PillarFinding]:
    """All that is wrong between an environment and its peers."""
    for number, name in enumerate(environment.peers):
        if name not in peers:
            yield at("peers", number, message=f"there is no environment {name}{did_you_mean(name, peers)}")
            continue
        yield from _network(environment, peers, number)
        yield from _servers(environment, peers[name])
    yield from _master(environment, peers)


def _network(environment: Environment, peers: Mapping[str, Environment], number: int) -> Iterator[PillarFinding]:
    peer = peers[environment.peers[number]]
    if peer.region != environment.region:
        message = f"{peer.name} is in {peer.region}: peering between regions is not supported yet"
        yield at("peers", number, message=message)
    if environment.cidr.overlaps(peer.cidr):
        yield at("cidr", message=f"{environment.cidr} overlaps with {peer.name}'s {peer.cidr}")
    for earlier in environment.peers[:number]:
        if earlier in peers and peers[earlier].cidr.overlaps(peer.cidr):
            message = f"{peer.name}'s {peer.cidr} overlaps with {earlier}'s {peers[earlier].cidr}: no route could tell them apart"
            yield at("peers", number, message=message)


def _servers(environment: Environment, peer: Environment) -> Iterator[PillarFinding]:
    """A name is a minion id, and a master knows each id once."""
    theirs = {server.name for server in layout.declared_servers(peer)}
    for server in layout.declared_servers(environment):
        if server.name in theirs:
            yield at("servers", server.group, message=f"{peer.name} has a server {server.name} too")


def _master(environment: Environment, peers: Mapping[str, Environment]) -> Iterator[PillarFinding]:
    minions = any(group.boot is BootAs.MINION for group in environment.servers.values())
    if environment.salt.master or not minions or not set(environment.peers) <= set(peers):
        return
    masters = [server.name for server in layout.masters(environment, peers)]
    if not masters:
        message = "the servers have no Salt master: no group here or in a peer says `boot: master`"
        yield at("salt", "master", message=f"{message}; peer with one, name its address here, or say `boot: none`")
    if len(masters) > 1:
        yield at(
            "salt", "master", message=f"there are several Salt masters ({', '.join(masters)}); name one's address here"
        )
