"""Asks Cloud Custodian's own filters at which instants they act. Runs in Custodian's environment, not in ours.

python custodian_clock.py < {"filters": {name: filter}, "instants": [epoch, …], "resource": {…}}  > {name: [bool, …]}
python custodian_clock.py < {"zones": [name, …], "instants": [epoch, …]}                          > {name: [hours from UTC, …]}
"""

import datetime as real
import json
import sys
import types

from c7n.filters import offhours


class Clock(real.datetime):
    """The clock that the filters see."""

    at = 0.0

    @classmethod
    def now(cls, tz=None):
        return real.datetime.fromtimestamp(cls.at, tz)


offhours.datetime = types.SimpleNamespace(datetime=Clock)
question = json.load(sys.stdin)
answer: dict[str, list[object]] = {}
for name, written in question.get("filters", {}).items():
    kind = {"offhour": offhours.OffHour, "onhour": offhours.OnHour}[written["type"]]
    hours = kind(written)
    hours.id_key = "InstanceId"
    hours.validate()
    answer[name] = []
    for Clock.at in question["instants"]:
        answer[name].append(bool(hours(question["resource"])))
for name in question.get("zones", ()):
    zone = offhours.Time.get_tz(name)
    local = [real.datetime.fromtimestamp(at, zone) for at in question["instants"]] if zone else []
    answer[name] = [offset.total_seconds() for time in local if (offset := time.utcoffset()) is not None]
json.dump(answer, sys.stdout)
