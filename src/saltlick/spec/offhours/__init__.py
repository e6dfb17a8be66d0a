"""The pillar's `offhours`: parsed and checked against the environment that is switched off and on.

parse(pillar, environment)  ->  OffHours
"""

from saltlick.spec.offhours.model import OffHours
from saltlick.spec.offhours.order import starts, stops, switched
from saltlick.spec.offhours.parse import ROOT, parse, require_not_production
from saltlick.spec.offhours.times import Hour

__all__ = ["ROOT", "Hour", "OffHours", "parse", "require_not_production", "starts", "stops", "switched"]
