"""Whether a target may be overwritten. Pure: what everybody who may know has said goes in, every objection comes out.

Names prove nothing: a pillar may be copied, a tag be wrong, an argument be swapped. So the target has to be shown as what it is
said to be by its pillar, by the pillars of all production environments, by AWS (tag, network and address of each server), and
by the servers themselves, who know from their own pillar, matched on their key, what they belong to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredEnvironment:
    """What one environment's pillar says of itself. `vpc` is the name of its network."""

    name: str
    production: bool
    vpc: str
    cidr: str
    servers: tuple[str, ...]
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownInstance:
    """One running instance, as AWS shows it: its tags, and the tags of the network that it is in."""

    id: str
    name: str
    environment: str
    vpc_environment: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownServer:
    """What a server says of itself, from its own pillar. `environment` is empty where it does not know."""

    environment: str
    production: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was found out before anything was touched. `shown` is None where there is no AWS to ask."""

    source: DeclaredEnvironment
    target: DeclaredEnvironment
    others: tuple[DeclaredEnvironment, ...]
    """All other environments that this master knows."""
    shown: tuple[ShownInstance, ...] | None
    known: Mapping[str, KnownServer | str] = field(default_factory=dict)
    """By server; a text says why one did not answer."""


def objections(evidence: Evidence) -> tuple[str, ...]:
    """Why the target must not be overwritten; nothing where everybody agrees that it may."""
    return tuple(dict.fromkeys((*_declared(evidence), *_shared(evidence), *_in_aws(evidence), *_themselves(evidence))))


def _declared(evidence: Evidence) -> Iterator[str]:
    source, target = evidence.source, evidence.target
    if target.production:
        yield f"{target.name} is marked production"
    if source.name == target.name:
        yield f"source and target are both {target.name}"
    if not target.servers:
        yield f"{target.name} has no such servers"


def _shared(evidence: Evidence) -> Iterator[str]:
    """A copied pillar, under another name and without the mark, still names production's servers, network and addresses."""
    target = evidence.target
    for other in (evidence.source, *evidence.others):
        if other.name == target.name:
            continue
        what = "production environment" if other.production else "environment"
        for server in sorted(set(other.servers) & set(target.servers)):
            yield f"{server} is a server of the {what} {other.name}"
        if other.production and other.vpc == target.vpc:
            yield f"{target.name} declares the network {target.vpc} of the {what} {other.name}"
        if other.production and other.cidr == target.cidr:
            yield f"{target.name} declares the addresses {target.cidr} of the {what} {other.name}"
        for address in sorted(set(other.addresses) & set(target.addresses)):
            yield f"{address} is an address of the {what} {other.name}"


def _in_aws(evidence: Evidence) -> Iterator[str]:
    """Each server has exactly one instance, of the target by its own tag and by its network's."""
    if evidence.shown is None:
        yield "AWS was not asked whose servers they are"
        return
    target = evidence.target.name
    for server in evidence.target.servers:
        instances = [instance for instance in evidence.shown if instance.name == server]
        if len(instances) != 1:
            yield f"AWS shows {len(instances)} running instances named {server}, and not one"
        for instance in instances:
            yield from _of_target(instance, target)


def _of_target(shown: ShownInstance, target: str) -> Iterator[str]:
    if shown.environment != target:
        yield f"{shown.name} ({shown.id}) is tagged as of {shown.environment or 'no environment'}, not of {target}"
    if shown.vpc_environment != target:
        yield f"{shown.name} ({shown.id}) is in a network of {shown.vpc_environment or 'no environment'}, not of {target}"


def _themselves(evidence: Evidence) -> Iterator[str]:
    target = evidence.target.name
    for server in evidence.target.servers:
        answer = evidence.known.get(server, "was not asked")
        if isinstance(answer, str):
            yield f"{server}: {answer}"
        elif answer.production:
            yield f"{server} says that it is of production"
        elif answer.environment != target:
            yield f"{server} says that it is of {answer.environment or 'no environment it knows'}, not of {target}"


def of_servers(servers: Sequence[str], shown: Sequence[ShownInstance]) -> tuple[ShownInstance, ...]:
    """Those instances that bear these names."""
    return tuple(instance for instance in shown if instance.name in servers)
