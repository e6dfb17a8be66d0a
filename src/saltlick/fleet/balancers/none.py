"""Nothing in front of the servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saltlick.fleet.balancers.context import every
from saltlick.fleet.ports import Reply, Seen, Traffic


class NoBalancer:
    """Says yes to everything: nobody knows who gets traffic."""

    def look(self, servers: Sequence[str]) -> Mapping[str, Seen]:
        return dict.fromkeys(servers, Seen(Traffic.IN, "no balancer"))

    def drain(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        return every(servers, Reply(True, {"how": "drained", "detail": "no balancer"}))

    def restore(self, servers: Sequence[str]) -> Mapping[str, Reply]:
        return every(servers, Reply(True, {"traffic": Traffic.IN.value, "detail": "no balancer"}))
