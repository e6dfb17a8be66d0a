"""The pillar's `offhours`: parsed and checked against the environment that is switched off and on.

parse(pillar, environment)  ->  OffHours
"""

from saltlick.offhours.pillar.model import OffHours
from saltlick.offhours.pillar.order import start_order, stop_order, switched_groups
from saltlick.offhours.pillar.parse import OFFHOURS_KEY, parse_offhours, require_not_production
from saltlick.offhours.pillar.times import Hour

__all__ = [
    "OFFHOURS_KEY",
    "Hour",
    "OffHours",
    "parse_offhours",
    "require_not_production",
    "start_order",
    "stop_order",
    "switched_groups",
]
