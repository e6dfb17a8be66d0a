"""Which groups are switched, and in which order: out of traffic, application, database; back the other way round."""

from __future__ import annotations

from saltlick.environment.pillar import layout
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import BootAs
from saltlick.offhours.pillar.model import OffHours

Turns = tuple[tuple[str, ...], ...]
"""Groups turn by turn; those of one turn at once."""


def switched_groups(hours: OffHours, environment: Environment) -> tuple[str, ...]:
    """The groups that are switched, in the order of the pillar. Never the master's: nobody would start it again."""
    groups = environment.servers
    return tuple(name for name in groups if groups[name].boot is not BootAs.MASTER and name in (hours.groups or groups))


def stop_order(hours: OffHours, environment: Environment) -> Turns:
    """Turns in which they stop."""
    return tuple((name,) for name in hours.stop_order) or _by_tier(hours, environment)[::-1]


def start_order(hours: OffHours, environment: Environment) -> Turns:
    """Turns in which they start."""
    return tuple((name,) for name in hours.start_order) or stop_order(hours, environment)[::-1]


def _by_tier(hours: OffHours, environment: Environment) -> Turns:
    mine = switched_groups(hours, environment)
    tier = {declared_server.group: declared_server.tier for declared_server in layout.declared_servers(environment)}
    numbers = sorted({tier[name] for name in mine if name in tier})
    return tuple(tuple(name for name in mine if tier.get(name) == number) for number in numbers)
