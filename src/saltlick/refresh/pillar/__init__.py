"""The pillar's `refresh`: whose data an environment gets, and what is done to it before anybody sees it.

parse(pillar, environment)  ->  Refresh
"""

from saltlick.refresh.pillar.model import NOTHING_PERSONAL, Refresh, RefreshedApplication
from saltlick.refresh.pillar.parse import REFRESH_KEY, parse_refresh

__all__ = ["NOTHING_PERSONAL", "REFRESH_KEY", "Refresh", "RefreshedApplication", "parse_refresh"]
