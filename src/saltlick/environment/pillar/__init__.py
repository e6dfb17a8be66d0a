"""The pillar's `environment`: parsed, checked, and expanded into resources.

parse(pillar)  ->  Environment  ->  check(environment, peers)  ->  expand(environment, peers, boot)  ->  resources
"""

from saltlick.environment.pillar.boot import Boot
from saltlick.environment.pillar.checks import check_environment
from saltlick.environment.pillar.expand import expand_environment
from saltlick.environment.pillar.layout import DeclaredServer, declared_servers, server_tiers
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.parse import parse_environment

__all__ = [
    "Boot",
    "DeclaredServer",
    "Environment",
    "check_environment",
    "declared_servers",
    "expand_environment",
    "parse_environment",
    "server_tiers",
]
