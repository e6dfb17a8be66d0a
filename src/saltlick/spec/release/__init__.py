"""The pillar's `release`: parsed and checked against the environment whose servers it is for.

parse(pillar, environment)  ->  Recipe  ->  fill(step, words)  ->  Call
"""

from saltlick.spec.release.fill import fill, fill_check, fill_in
from saltlick.spec.release.model import Recipe

__all__ = ["Recipe", "fill", "fill_check", "fill_in"]
