"""Cloud Custodian policies, rendered from the pillar.

*Standing* policies say when: they are what `custodian run` would need each hour without Saltlick. Policies for *now* are what
Saltlick has Custodian run, turn by turn: the same guards and actions, for exactly the objects that were looked at a moment ago.

Source: Cloud Custodian 0.9.53, `c7n/filters/offhours.py`, `core.py` (ValueFilter), `related.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from saltlick.engine.resource import TAG_ENVIRONMENT, TAG_NAME
from saltlick.environment.pillar import Environment, layout
from saltlick.offhours.pillar import Hour, OffHours
from saltlick.offhours.schedule import OnOff
from saltlick.offhours.turns import ServiceType, Turn, turns

Policy = dict[str, Any]

_ACTIONS = {
    ServiceType.EC2: {OnOff.OFF: "stop", OnOff.ON: "start"},
    ServiceType.RDS: {OnOff.OFF: "stop", OnOff.ON: "start"},
    ServiceType.ASG: {OnOff.OFF: "suspend", OnOff.ON: "resume"},
}
_IDS = {ServiceType.EC2: "InstanceId", ServiceType.RDS: "DBInstanceIdentifier", ServiceType.ASG: "AutoScalingGroupName"}
LAUNCH = "Launch"
"""The process whose suspension tells a group that is off from one of which somebody has suspended something else."""
LONGEST_LINE = 8
"""Items of a list that go on one line of a file."""
_LETTERS = "mtwhfsu"
_WEEKDAYS, _EVERY_DAY = frozenset(range(5)), frozenset(range(7))
_WEEKENDS_ONLY = {OnOff.OFF: frozenset({4}), OnOff.ON: frozenset({0})}
"""The days that Custodian's own `weekends-only` means."""


class _Plain(yaml.SafeDumper):
    """Says a value again where it stands again, in place of a mark that points to it."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - of all values
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        """A long list is a line per item."""
        return super().represent_sequence(tag, sequence, False if len(sequence) > LONGEST_LINE else flow_style)


def standing(hours: OffHours, environment: Environment) -> tuple[Policy, ...]:
    """All of them, with their hours; numbered in the order in which things go off, and come on."""
    return tuple(
        _policy(environment, side, number, turn, group, [_hours(hours, side)])
        for side in OnOff
        for number, turn in enumerate(turns(hours, environment, side), 1)
        for group in turn.groups or ("",)
    )


def now(
    hours: OffHours, environment: Environment, side: OnOff, turn: Turn, ids: Mapping[str, Sequence[str]]
) -> tuple[Policy, ...]:
    """Those of one turn, for these objects by group ("" where there are no groups), whatever the hour."""
    number = turns(hours, environment, side).index(turn) + 1
    return tuple(
        _policy(environment, side, number, turn, group, [_exactly(turn.service, selected), _not_opted_out(hours)])
        for group, selected in ids.items()
        if selected
    )


def as_yaml(policies: Sequence[Policy], environment: str) -> str:
    """A file for `custodian validate` and `custodian run`."""
    head = f"# Written by `salt-run offhours.policies {environment}`: change the pillar, not this file.\n"
    return head + str(
        yaml.dump({"policies": list(policies)}, Dumper=_Plain, sort_keys=False, default_flow_style=None, width=120)
    )


def _policy(
    environment: Environment,
    side: OnOff,
    number: int,
    turn: Turn,
    group: str,
    last: Sequence[Mapping[str, Any]],
) -> Policy:
    service, name = turn.service, environment.name
    words = "-".join(filter(None, (name, side.value, str(number), service.value, group)))
    return {
        "name": re.sub("-+", "-", words),
        "resource": f"aws.{service.value}",
        "filters": [*_guards(environment, service, group), *_state(service, side), *last],
        "actions": [_ACTIONS[service][side]],
    }


def _guards(environment: Environment, service: ServiceType, group: str) -> Iterator[Mapping[str, Any]]:
    """Only what is this environment's: by its tag, by its name, and by the network that it stands in, whose tag is not its own.

    Always `in` a list: Custodian takes the single values `absent`, `empty`, `present` and `not-null` for questions of its own.
    """
    mine = {"key": f"tag:{TAG_ENVIRONMENT}", "op": "in", "value": [environment.name]}
    yield {"type": "value", **mine}
    if group:
        yield {
            "type": "value",
            "key": f"tag:{TAG_NAME}",
            "op": "in",
            "value": list(layout.server_names(environment, group)),
        }
    yield {"type": "subnet", **mine, "operator": "and"} if service is ServiceType.ASG else {"type": "vpc", **mine}


def _state(service: ServiceType, side: OnOff) -> Iterator[Mapping[str, Any]]:
    """Only what is not there yet."""
    if service is ServiceType.EC2:
        yield {
            "type": "value",
            "key": "State.Name",
            "op": "in",
            "value": ["running" if side is OnOff.OFF else "stopped"],
        }
    elif service is ServiceType.RDS:
        wanted = "available" if side is OnOff.OFF else "stopped"
        yield {"type": "value", "key": "DBInstanceStatus", "op": "in", "value": [wanted]}
    else:
        suspended = {"type": "value", "key": "SuspendedProcesses[].ProcessName", "op": "contains", "value": LAUNCH}
        yield {"not": [suspended]} if side is OnOff.OFF else suspended


def _exactly(service: ServiceType, ids: Sequence[str]) -> Mapping[str, Any]:
    return {"type": "value", "key": _IDS[service], "op": "in", "value": sorted(ids)}


def _not_opted_out(hours: OffHours) -> Mapping[str, Any]:
    return {"type": "value", "key": f"tag:{hours.tag}", "op": "not-in", "value": ["off"], "value_type": "normalize"}


def _hours(hours: OffHours, side: OnOff) -> Mapping[str, Any]:
    """The filter of one side, with all it needs said: defaults of Custodian's are New York's clock, 19:00 and 07:00."""
    when = hours.off if side is OnOff.OFF else hours.on
    selected = {
        "type": f"{side.value}hour",
        f"{side.value}hour": when.hour,
        "default_tz": zone(hours.timezone),
        "tag": hours.tag,
        "opt-out": True,
        **_days(when, side),
    }
    return selected | ({"skip-days": [str(day) for day in hours.skip_days]} if hours.skip_days else {})


def _days(when: Hour, side: OnOff) -> Mapping[str, Any]:
    """Custodian's own words where it has some; else a schedule, as a tag would say it."""
    if when.days in (_WEEKDAYS, _EVERY_DAY):
        return {"weekends": when.days == _WEEKDAYS}
    if when.days == _WEEKENDS_ONLY[side]:
        return {"weekends-only": True}
    spec = ",".join(f"({_LETTERS[day]},{when.hour})" for day in sorted(when.days))
    return {"weekends": False, "fallback-schedule": f"{side.value}=[{spec}]"}


def zone(name: str) -> str:
    """A time zone as Custodian finds it: it capitalises words, and knows names of another form by their lower case only."""
    return name if name.title() == name else name.lower()
