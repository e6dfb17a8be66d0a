"""The pillar's `environment`: parsed, checked, and expanded into resources.

parse(pillar)  ->  Environment  ->  check(environment, peers)  ->  expand(environment, peers, boot)  ->  resources
"""

from saltlick.spec.boot import Boot
from saltlick.spec.checks import check
from saltlick.spec.expand import expand
from saltlick.spec.layout import Server, servers, tiers
from saltlick.spec.model import Environment
from saltlick.spec.parse import parse

__all__ = ["Boot", "Environment", "Server", "check", "expand", "parse", "servers", "tiers"]
