"""What a release will do, as a value: printed it is the dry run, walked it is the release."""

from __future__ import annotations

from dataclasses import dataclass

from saltlick.release.batches import Rule, planned
from saltlick.release.preflight import Finding, Findings
from saltlick.release.stage import Asked
from saltlick.spec.release import Recipe


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
class Plan:
    """One release before it happens."""

    environment: str
    application: str
    group: str
    strategy: str
    rev: str
    sha: str
    """Empty: could not be resolved."""
    total: int
    floor: int
    batches: tuple[PlannedBatch, ...]
    already: tuple[str, ...] = ()
    """Servers that have the revision, healthy and in traffic: they are left alone."""
    left: tuple[str, ...] = ()
    """Servers that no batch can have without going below the floor."""
    findings: tuple[Finding, ...] = ()
    """What stands against it; those that are not `forced` refuse it."""

    @property
    def refused(self) -> bool:
        """Whether a release would be refused now."""
        return any(not finding.forced for finding in self.findings)

    @property
    def unchanged(self) -> bool:
        """Whether there is nothing to do."""
        return not self.batches and not self.left and bool(self.sha) and len(self.already) == self.total


def plan_of(recipe: Recipe, asked: Asked, seen: Findings) -> Plan:
    """The plan, by what pre-flight saw."""
    rule = rule_of(recipe, asked)
    walking = [server for server in asked.servers if server.name not in seen.already]
    cut = [server for server in walking if server.name not in seen.silent]
    batches = []
    serving = set(seen.in_traffic)
    for number, batch in enumerate(planned(cut, serving, rule), start=1):
        names = {server.name for server in batch}
        servers = tuple(PlannedServer(s.name, s.zone, seen.current.get(s.name, ""), seen.sha) for s in batch)
        batches.append(PlannedBatch(number, servers, len(serving - names)))
        serving |= names
    going = {server.name for batch in batches for server in batch.servers}
    left = tuple(server.name for server in cut if server.name not in going)
    return Plan(
        environment=asked.environment,
        application=recipe.application,
        group=recipe.servers,
        strategy=recipe.strategy.kind.value,
        rev=asked.rev,
        sha=seen.sha,
        total=len(asked.servers),
        floor=rule.keep,
        batches=tuple(batches),
        already=seen.already,
        left=left,
        findings=(*seen.findings, *_floor_findings(left, rule)),
    )


def rule_of(recipe: Recipe, asked: Asked) -> Rule:
    """How the group is cut into batches; a `once` step's primary goes first."""
    names = {server.name for server in asked.servers}
    first = next((step.primary for step in recipe.once if step.primary in names), None) or ""
    return Rule.of(recipe.strategy, len(asked.servers), first=first)


def _floor_findings(left: tuple[str, ...], rule: Rule) -> tuple[Finding, ...]:
    if not left:
        return ()
    return (
        Finding(f"no batch can have {', '.join(left)}: {rule.keep} of {rule.total} servers have to stay in traffic"),
    )
