"""The pillar's `refresh`: whose data an environment gets, and what is done to it before anybody sees it.

parse(pillar, environment)  ->  Refresh
"""

from saltlick.spec.refresh.model import NOTHING_PERSONAL, Application, Refresh
from saltlick.spec.refresh.parse import ROOT, parse

__all__ = ["NOTHING_PERSONAL", "ROOT", "Application", "Refresh", "parse"]
