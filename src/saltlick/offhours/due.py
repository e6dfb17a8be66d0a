"""Whether a change of state is due and not made yet: the one place that decides.

Each change is made once. Who starts a server by hand in the evening keeps it until the next evening, as with Custodian alone;
a change that could not be made (nobody ran, the environment was locked, it failed) stays due until the next one takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from saltlick.offhours.pillar import OffHours
from saltlick.offhours.schedule import OnOff, ScheduledChange, last

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepOn:
    """Somebody wants it on until then; it ends by itself."""

    until: datetime
    since: datetime
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueChange:
    """What is to be done now: make it `side`, or nothing (None) and why. `moment` is the change that this is about."""

    side: OnOff | None
    moment: ScheduledChange
    why: str
    late: bool = False
    """It should have been made in an hour that is over."""


def due(hours: OffHours, now: datetime, *, done: datetime | None, keep: KeepOn | None = None) -> DueChange:
    """What is due at an instant.

    `done` is the instant of the last change that was made; None where none ever was from this master: then what was due before
    this hour is taken as it is, so that the first run does not stop an environment in which somebody works.
    """
    moment = last(hours, now)
    if keep is not None and moment.side is OnOff.OFF:
        if now < keep.until:
            return DueChange(side=None, moment=moment, why="kept on")
        moment = ScheduledChange(max(moment.at, keep.until), OnOff.OFF) if keep.since <= keep.until else moment
    late = now - moment.at >= HOUR
    if done is not None and done >= moment.at:
        return DueChange(side=None, moment=moment, why="done")
    if done is None and keep is None and late:
        return DueChange(side=None, moment=moment, why="begins with the next hour of its schedule")
    return DueChange(side=moment.side, moment=moment, why="caught up" if late else "due", late=late)
