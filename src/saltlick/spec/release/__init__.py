"""The pillar's `release`: parsed and checked against the environment whose servers it is for.

parse(pillar, environment, overrides)  ->  Recipe  ->  fill(step, words)  ->  Call
"""

from saltlick.spec.release.checks import servers_of
from saltlick.spec.release.fill import HOOK_WORDS, WORDS, fill, fill_check, fill_in
from saltlick.spec.release.model import Recipe
from saltlick.spec.release.overrides import Overrides
from saltlick.spec.release.parse import parse, restore
from saltlick.spec.release.windows import denied

__all__ = [
    "HOOK_WORDS",
    "WORDS",
    "Overrides",
    "Recipe",
    "denied",
    "fill",
    "fill_check",
    "fill_in",
    "parse",
    "restore",
    "servers_of",
]
