"""Another primary, or a standby made anew: looked at before, done by the server itself, and looked at after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saltlick.database.cluster import DatabaseCluster, DatabaseRole, seen_cluster
from saltlick.engine.ports import Clock
from saltlick.errors import NotReady, ServerFailed
from saltlick.fleet.detached import run_detached
from saltlick.fleet.ports import Call, Fleet

LOOK_S = 30.0
SETTLES_WITHIN_S = 120.0
LOOK_AGAIN_S = 2.0
REINIT_S = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseContext:
    """One environment's database servers, and how they are reached."""

    environment: str
    servers: Sequence[str]
    fleet: Fleet
    clock: Clock

    def look(self) -> DatabaseCluster:
        """What every server says now; one that does not answer is in it as unseen."""
        calls = dict.fromkeys(self.servers, Call("database.status"))
        return seen_cluster(self.environment, self.fleet.run(calls, deadline_s=LOOK_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseChange:
    """What a change came to: the cluster before and after it."""

    action: str
    server: str
    before: DatabaseCluster
    after: DatabaseCluster


def switchover(context: DatabaseContext, server: str, within_s: float) -> DatabaseChange:
    """A healthy standby takes over from a healthy primary. `server` may be empty where there is one standby.

    Raises: NotReady before anything is touched; ServerFailed.
    """
    before = context.look()
    if len(before.primaries) != 1:
        raise NotReady(
            f"{_primaries(before)}: a switchover wants one. `salt-run database.status {context.environment}`"
        )
    (primary,) = before.primaries
    candidate = _chosen(server, before.healthy_standbys, "standby that streams from the primary", before)
    _do(context, candidate, Call("database.switchover", (primary,), {"within_s": within_s}), within_s)
    after = _settled(context, lambda seen: seen.primaries == (candidate,) and primary in seen.healthy_standbys)
    return DatabaseChange(action="switchover", server=candidate, before=before, after=after)


def promote(context: DatabaseContext, server: str, within_s: float) -> DatabaseChange:
    """A standby becomes the primary where there is none.

    Raises: NotReady where there is a primary, or may be one that cannot be seen; ServerFailed.
    """
    before = context.look()
    if before.primaries:
        raise NotReady(
            f"{_primaries(before)}, and a second one would split the data. "
            f"To change it: `salt-run database.switchover {context.environment}`"
        )
    unseen = before.of_role(DatabaseRole.UNSEEN)
    if unseen and not before.managed:
        raise NotReady(
            f"{', '.join(unseen)} cannot be seen and may be the primary: nobody is promoted beside it. "
            "Stop that instance in AWS first"
        )
    candidate = _chosen(server, before.of_role(DatabaseRole.STANDBY), "standby", before)
    _do(context, candidate, Call("database.promote", (), {"within_s": within_s}), within_s)
    after = _settled(context, lambda seen: seen.primaries == (candidate,))
    return DatabaseChange(action="promote", server=candidate, before=before, after=after)


def reinit(context: DatabaseContext, server: str) -> DatabaseChange:
    """A server's database is made anew, as a copy of the primary's. What only that server has is gone.

    Raises: NotReady where no other server is a primary; ServerFailed.
    """
    before = context.look()
    others = [primary for primary in before.primaries if primary != server]
    candidate = _chosen(server, context.servers, "server", before)
    if len(others) != 1:
        raise NotReady(f"{_primaries(before)}: {candidate} can be made anew only as a copy of one other primary")
    call = Call("database.reinit")
    job = f"reinit {candidate} {context.clock.now()}"
    reply = run_detached(context.fleet, context.clock, {candidate: call}, job=job, deadline_s=REINIT_S)[candidate]
    if not reply.ok:
        raise ServerFailed(f"{candidate}: {reply.error}")
    after = _settled(context, lambda seen: candidate in seen.healthy_standbys)
    return DatabaseChange(action="reinit", server=candidate, before=before, after=after)


def pause(context: DatabaseContext, *, resume: bool) -> DatabaseChange:
    """Automatic failover is switched off, or on again, by the first server that answers.

    Raises: NotReady where nothing manages the cluster; ServerFailed with every server's words.
    """
    before = context.look()
    managed = [server.name for server in before.servers if server.patroni and server.patroni.answers]
    if not managed:
        raise NotReady("no server's Patroni answers, so there is no automatic failover to switch")
    refusals = []
    for server in managed:
        reply = context.fleet.run({server: Call("database.pause", (), {"resume": resume})}, deadline_s=90.0)[server]
        if reply.ok:
            after = _settled(context, lambda seen: seen.paused is not resume)
            return DatabaseChange(action="resume" if resume else "pause", server=server, before=before, after=after)
        refusals.append(f"{server}: {reply.error}")
    raise ServerFailed("; ".join(refusals))


def _primaries(cluster: DatabaseCluster) -> str:
    if not cluster.primaries:
        return "there is no primary that can be seen"
    return (
        f"{' and '.join(cluster.primaries)} {'is the primary' if len(cluster.primaries) == 1 else 'both are primaries'}"
    )


def _chosen(server: str, candidates: Sequence[str], what: str, cluster: DatabaseCluster) -> str:
    if server:
        if server not in candidates:
            seen = {known.name: f"is {known.role.value} ({known.seen})" for known in cluster.servers}
            raise NotReady(
                f"{server} is no {what}: it {seen.get(server, 'is not a database server of this environment')}"
            )
        return server
    if len(candidates) != 1:
        raise NotReady(f"name one with server=: {', '.join(candidates) or f'there is no {what}'}")
    return candidates[0]


def _do(context: DatabaseContext, server: str, call: Call, within_s: float) -> None:
    reply = context.fleet.run({server: call}, deadline_s=within_s * 2 + LOOK_S)[server]
    if not reply.ok:
        raise ServerFailed(f"{server}: {reply.error}")


def _settled(context: DatabaseContext, done: Callable[[DatabaseCluster], bool]) -> DatabaseCluster:
    """The cluster once it is as wanted. Raises: ServerFailed with what was seen last."""
    ends = context.clock.now() + SETTLES_WITHIN_S
    while not done(seen := context.look()):
        if context.clock.now() > ends:
            roles = ", ".join(f"{server.name} {server.role.value}" for server in seen.servers)
            raise ServerFailed(f"it was done, and {SETTLES_WITHIN_S:g} s later the servers say: {roles}")
        context.clock.sleep(LOOK_AGAIN_S)
    return seen
