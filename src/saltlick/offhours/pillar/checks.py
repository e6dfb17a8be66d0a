"""Whether well-formed off-hours make sense: in themselves, and beside the environment that is switched."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo, available_timezones

from saltlick.environment.pillar.checks.findings import PillarFinding, at, repeated, unknown
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import BootAs
from saltlick.offhours.pillar.model import OffHours
from saltlick.offhours.pillar.order import switched_groups
from saltlick.schema.calendar import DAYS
from saltlick.schema.problems import nearest


def findings(hours: OffHours, environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong."""
    yield from _times(hours)
    yield from unknown(hours.groups, environment.servers, "server group", ("groups",), section="servers")
    yield from repeated(hours.groups, ("groups",))
    for number, name in enumerate(hours.groups):
        if (group := environment.servers.get(name)) and group.boot is BootAs.MASTER:
            yield at("groups", number, message=f"{name} is the Salt master's: nobody would start it again")
    yield from _order(hours, environment)
    for name in hours.checks:
        yield from unknown(
            [name], switched_groups(hours, environment), "switched group", ("checks", name), section="servers"
        )
    if not any((hours.covers.ec2, hours.covers.rds, hours.covers.asg)):
        yield at("covers", message="nothing is switched: leave `offhours` out instead")
    if hours.covers.ec2 and not hours.groups and not switched_groups(hours, environment):
        yield at("covers", message=f"{environment.name} has no server group that could be switched: `ec2: false`?")


def _times(hours: OffHours) -> Iterator[PillarFinding]:
    try:
        ZoneInfo(hours.timezone)
    except (KeyError, ValueError, OSError):
        known = available_timezones()
        hint = nearest(hours.timezone, known, 0.6) if known else "; this machine knows none: install tzdata"
        yield at("timezone", message=f"{hours.timezone} is not a time zone (write it like Europe/Berlin){hint}")
    if hours.off.hour == hours.on.hour and (both := sorted(hours.off.days & hours.on.days)):
        yield at(
            "on", message=f"it would go off and come on in the same hour, on {', '.join(DAYS[day] for day in both)}"
        )


def _order(hours: OffHours, environment: Environment) -> Iterator[PillarFinding]:
    groups = switched_groups(hours, environment)
    for key, order in (("stop_order", hours.stop_order), ("start_order", hours.start_order)):
        yield from unknown(order, groups, "switched group", (key,), section="servers")
        yield from repeated(order, (key,))
        missing = [name for name in groups if name not in order]
        if order and missing and set(order) <= set(groups):
            yield at(key, message=f"it says nothing of {', '.join(missing)}: name each group that is switched")
