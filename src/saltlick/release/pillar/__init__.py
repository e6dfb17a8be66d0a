"""The pillar's `release`: parsed and checked against the environment whose servers it is for.

parse(pillar, environment, overrides)  ->  Recipe  ->  fill(step, words)  ->  Call
"""

from saltlick.fleet.placeholders import HOOK_PLACEHOLDERS, PLACEHOLDERS, fill, fill_check, fill_in
from saltlick.release.pillar.checks import servers_of
from saltlick.release.pillar.model import Recipe
from saltlick.release.pillar.overrides import Overrides
from saltlick.release.pillar.parse import parse_recipe, restore_recipe
from saltlick.release.pillar.windows import denied

__all__ = [
    "HOOK_PLACEHOLDERS",
    "PLACEHOLDERS",
    "Overrides",
    "Recipe",
    "denied",
    "fill",
    "fill_check",
    "fill_in",
    "parse_recipe",
    "restore_recipe",
    "servers_of",
]
