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
asked = json.load(sys.stdin)
told = {}
for name, written in asked.get("filters", {}).items():
    kind = {"offhour": offhours.OffHour, "onhour": offhours.OnHour}[written["type"]]
    one = kind(written)
    one.id_key = "InstanceId"
    one.validate()
    told[name] = []
    for Clock.at in asked["instants"]:
        told[name].append(bool(one(asked["resource"])))
for name in asked.get("zones", ()):
    zone = offhours.Time.get_tz(name)
    offsets = [real.datetime.fromtimestamp(at, zone).utcoffset() for at in asked["instants"]] if zone else []
    told[name] = [offset.total_seconds() for offset in offsets]
json.dump(told, sys.stdout)
