"""Our arithmetic and Custodian's own filters agree, hour by hour over a year, in zones of every kind."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from saltlick.environment.pillar import parse_environment
from saltlick.offhours import custodian, policies
from saltlick.offhours.pillar import OffHours
from saltlick.offhours.pillar.times import ZoneName
from saltlick.offhours.schedule import OnOff, last

pytestmark = pytest.mark.usefixtures("cloud_custodian")

FIRST = datetime(2026, 1, 1, 0, 30, tzinfo=timezone.utc)
HOURS = [FIRST + timedelta(hours=number) for number in range(24 * 370)]
ENVIRONMENT = {
    "environment": {
        "name": "test",
        "region": "us-east-1",
        "cidr": "10.20.0.0/16",
        "zones": ["us-east-1a"],
        "image": {"id": "ami-12c6146b"},
        "subnets": {"public": {"cidrs": ["10.20.0.0/24"]}},
        "firewall": {"app": [{"from": "world", "tcp": 80}]},
        "servers": {"app": {"count": 1, "type": "t3.small", "subnet": "public", "firewall": "app"}},
        "salt": {"master": "127.0.0.1"},
    }
}
SCHEDULES = [
    {"timezone": "Europe/Berlin", "off": "Mon-Fri 19:00", "on": "Mon-Fri 07:00"},
    {"timezone": "America/St_Johns", "off": "Fri 21:00", "on": "Mon 05:00"},
    {"timezone": "Asia/Kolkata", "off": "20:00", "on": "08:00"},
    {"timezone": "UTC", "off": "Mon,Wed,Fri 22:00", "on": "Tue,Thu,Sat 06:00"},
    {"timezone": "America/Port_of_Spain", "off": "Fri-Mon 18:00", "on": "Sat-Tue 09:00"},
    {
        "timezone": "Pacific/Kiritimati",
        "off": "Mon-Fri 23:00",
        "on": "Mon-Fri 00:00",
        "skip_days": ["2026-12-24..2027-01-02"],
    },
]


def ask(question: dict[str, Any]) -> dict[str, list[Any]]:
    """Custodian's answer, from its own Python."""
    script = Path(__file__).with_name("custodian_clock.py")
    command = [str(custodian.find().with_name("python")), str(script)]
    done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def timer(hours: OffHours, side: OnOff) -> dict[str, Any]:
    """The filter by the hour, as it is rendered."""
    environment = parse_environment(ENVIRONMENT, environment="test")
    [made] = [one for one in policies.standing(hours, environment) if f"-{side.value}-" in one["name"]]
    return dict(made["filters"][-1])


def test_custodian_acts_in_exactly_the_hours_in_which_the_state_that_is_due_begins():
    plans = [OffHours.model_validate(one) for one in SCHEDULES]
    filters = {f"{number} {side.value}": timer(plan, side) for number, plan in enumerate(plans) for side in OnOff}
    told = ask(
        {
            "filters": filters,
            "instants": [at.timestamp() for at in HOURS],
            "resource": {"InstanceId": "i-1", "Tags": []},
        }
    )
    for number, plan in enumerate(plans):
        for side in OnOff:
            acts = [at for at, yes in zip(HOURS, told[f"{number} {side.value}"], strict=True) if yes]
            ours = [at for at in HOURS if begins(plan, at, side)]
            assert acts == ours, (plan, side)
            assert len(acts) > 50


def begins(plan: OffHours, at: datetime, side: OnOff) -> bool:
    """Whether a change to that side lies in the hour of the zone's clock that this instant is in."""
    moment = last(plan, at + timedelta(minutes=29, seconds=59))
    local = at.astimezone(ZoneInfo(plan.timezone)).replace(minute=0, second=0)
    return moment.side is side and moment.at == local.astimezone(timezone.utc)


def test_a_tag_opts_out_whatever_the_hour():
    plan = OffHours.model_validate(SCHEDULES[2])
    for value in ("off", "OFF", "'off'"):
        server = {"InstanceId": "i-1", "Tags": [{"Key": "Saltlick_OffHours", "Value": value}]}
        told = ask(
            {
                "filters": {"off": timer(plan, OnOff.OFF)},
                "instants": [at.timestamp() for at in HOURS[:48]],
                "resource": server,
            }
        )
        assert not any(told["off"])


def test_every_zone_that_the_pillar_takes_is_the_same_one_to_custodian():
    """Names that it would take for another (EST is New York to it, summer time and all) are refused."""
    names = sorted(name for name in available_timezones() if taken(name))
    assert len(names) > 400
    probes = [datetime(2026, month, 15, tzinfo=timezone.utc) for month in (1, 4, 7, 10)]
    told = ask({"zones": [policies.zone(name) for name in names], "instants": [at.timestamp() for at in probes]})
    for name in names:
        ours = [at.astimezone(ZoneInfo(name)).utcoffset() for at in probes]
        assert told[policies.zone(name)] == [offset.total_seconds() for offset in ours if offset is not None], name


def taken(name: str) -> bool:
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(ZoneName).validate_python(name)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", ["EST", "MST", "CET", "GMT", "posixrules", "et"])
def test_short_names_are_refused(name):
    assert not taken(name)
