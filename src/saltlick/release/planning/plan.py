"""What a release will do, as a value: printed it is the dry run, walked it is the release."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from saltlick.release.context import ReleaseRequest, ReleaseServer
from saltlick.release.journal.record import ReleaseRecord, ServerRecord, ServerStatus
from saltlick.release.pillar import Recipe
from saltlick.release.planning.batches import BatchRule, ordered, planned
from saltlick.release.planning.preflight import PreflightFinding, PreflightFindings


@dataclass(frozen=True, slots=True)
class PlannedServer:
    """One server and its revisions (SHA; `current` empty where there is none)."""

    name: str
    zone: str
    current: str
    new: str


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """Servers that go together, and what is left in traffic meanwhile."""

    number: int
    servers: tuple[PlannedServer, ...]
    in_traffic: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePlan:
    """One release before it happens."""

    environment: str
    application: str
    group: str
    strategy: str
    rev: str
    sha: str
    """Empty: could not be resolved."""
    servers: tuple[ReleaseServer, ...]
    """The group in the order in which it goes."""
    current: Mapping[str, str]
    """Server → the revision it runs."""
    silent: Mapping[str, str]
    """Server → what it did not answer to."""
    floor: int
    batches: tuple[PlannedBatch, ...]
    already: tuple[str, ...] = ()
    """Servers that have the revision, healthy and in traffic: they are left alone."""
    returning: tuple[str, ...] = ()
    """Servers that an earlier release left out of traffic, and that answer: they go first."""
    belongs_on: Mapping[str, str] = field(default_factory=dict)
    """Server that an earlier release left behind → the revision it goes back to."""
    left: tuple[str, ...] = ()
    """Servers that no batch can have without going below the floor."""
    findings: tuple[PreflightFinding, ...] = ()
    """What stands against it; those that are not `forced` refuse it."""

    @property
    def refused(self) -> bool:
        """Whether a release would be refused now."""
        return any(not finding.forced for finding in self.findings)

    @property
    def unchanged(self) -> bool:
        """Whether there is nothing to do."""
        return not self.batches and not self.left and bool(self.sha) and len(self.already) == len(self.servers)

    def as_record(self, asked: ReleaseRequest) -> ReleaseRecord:
        """The release as it would begin: each server with its batch and the revision it has (`lines.plan` prints it)."""
        batch = {server.name: batch.number for batch in self.batches for server in batch.servers}
        return ReleaseRecord(
            id="",
            environment=self.environment,
            application=self.application,
            group=self.group,
            strategy=self.strategy,
            rev=self.rev,
            sha=self.sha,
            rollback=asked.rollback,
            who=asked.who,
            host=asked.host,
            job=asked.job,
            message=asked.message,
            started=0.0,
            servers=tuple(
                ServerRecord(
                    name=server.name,
                    zone=server.zone,
                    batch=batch.get(server.name, 0),
                    previous=self.belongs_on.get(server.name) or self.current.get(server.name, ""),
                    standing=self._standing(server.name),
                    detail=self._detail(server.name),
                )
                for server in self.servers
            ),
        )

    def _standing(self, name: str) -> ServerStatus:
        if name in self.silent:
            return ServerStatus.LEFT_OUT
        if name in self.returning:
            return ServerStatus.TOUCHED
        return ServerStatus.DONE if name in self.already else ServerStatus.WAITING

    def _detail(self, name: str) -> str:
        return self.silent.get(name) or ("it had it already" if name in self.already else "")


def plan_of(recipe: Recipe, asked: ReleaseRequest, seen: PreflightFindings) -> ReleasePlan:
    """The plan, by what pre-flight saw."""
    rule = rule_of(recipe, [server.name for server in asked.servers])
    walking = [server for server in asked.servers if server.name not in seen.already]
    cut = [server for server in walking if server.name not in seen.silent]
    batches = []
    serving = set(seen.in_traffic) - set(seen.silent)
    for number, batch in enumerate(planned(cut, serving, rule, first=seen.returning), start=1):
        names = {server.name for server in batch}
        servers = tuple(PlannedServer(s.name, s.zone, seen.current.get(s.name, ""), seen.sha) for s in batch)
        batches.append(PlannedBatch(number, servers, len(serving - names)))
        serving |= names
    going = {server.name for batch in batches for server in batch.servers}
    left = tuple(server.name for server in cut if server.name not in going)
    return ReleasePlan(
        environment=asked.environment,
        application=recipe.application,
        group=recipe.servers,
        strategy=recipe.strategy.kind.value,
        rev=asked.rev,
        sha=seen.sha,
        servers=ordered(asked.servers, rule),
        current=seen.current,
        silent=seen.silent,
        floor=rule.keep,
        batches=tuple(batches),
        already=seen.already,
        returning=seen.returning,
        belongs_on={name: left.sha for name, left in seen.left_behind.items()},
        left=left,
        findings=(*seen.findings, *_floor_findings(left, rule)),
    )


def rule_of(recipe: Recipe, names: Collection[str]) -> BatchRule:
    """How a group is cut into batches; a `once` step's primary goes first."""
    first = next((step.primary for step in recipe.once if step.primary in names), None) or ""
    return BatchRule.of(recipe.strategy, len(names), first=first)


def _floor_findings(left: tuple[str, ...], rule: BatchRule) -> tuple[PreflightFinding, ...]:
    if not left:
        return ()
    return (
        PreflightFinding(
            f"no batch can have {', '.join(left)}: {rule.keep} of {rule.total} servers have to stay in traffic"
        ),
    )
