"""Checks a well-formed environment for consistency, alone and with its peers. Reports all problems."""

from __future__ import annotations

from collections.abc import Mapping

from saltlick.environment.pillar.checks import balancers, buckets, firewall, longform, network, peers, servers
from saltlick.environment.pillar.checks.findings import PillarFinding
from saltlick.environment.pillar.expand import addresses
from saltlick.environment.pillar.model import Environment
from saltlick.errors import InvalidInput, Problem
from saltlick.schema.problems import ENVIRONMENT_KEY, path

_OWN = (
    network.findings,
    peers.names,
    firewall.findings,
    servers.findings,
    balancers.findings,
    buckets.findings,
    longform.findings,
)


def own_findings(environment: Environment) -> tuple[PillarFinding, ...]:
    """Everything wrong with an environment by itself."""
    return tuple(finding for topic in _OWN for finding in topic(environment))


def check_environment(environment: Environment, others: Mapping[str, Environment]) -> None:
    """Check a consistent environment against its peers, and its long form against its short form.

    Raises:
        InvalidInput: with every problem, each with its path.
    """
    findings = list(peers.findings(environment, others))
    if set(environment.peers) <= set(others):
        near = {name: addresses(others[name], others) for name in environment.peers}
        short_form = addresses(environment, others, long_form=False)
        findings += longform.beside_short_form(environment, short_form, near)
    if findings:
        problems = {Problem(path(finding.location, ENVIRONMENT_KEY), finding.message) for finding in findings}
        raise InvalidInput(sorted(problems), what=f"pillar of {environment.name}")
