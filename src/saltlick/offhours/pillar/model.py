"""The pillar key `offhours`, as typed and frozen values."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, StrictBool

from saltlick.fleet.health import HealthCheck
from saltlick.fleet.step import Seconds
from saltlick.offhours.pillar.times import Days, HourOfWeek, ZoneName
from saltlick.schema.fields import Label, Labels, Model, TagKey

TAG = "saltlick_offhours"


class Covers(Model):
    """What is switched: each kind has Custodian policies of its own."""

    ec2: StrictBool = Field(True, description="Servers of the environment.")
    rds: StrictBool = Field(False, description="RDS instances that carry the environment's tag, as databases.")
    asg: StrictBool = Field(
        False, description="Auto Scaling groups that carry the environment's tag, suspended with their instances."
    )


class OffHours(Model):
    """When an environment is off, and in which order it goes and comes.

    Never of an environment that is marked `production`: that is refused, whatever stands here.
    """

    timezone: ZoneName = Field(description="Whose clock: a name like `Europe/Berlin`, or `UTC`.")
    off: HourOfWeek = Field(description="When it goes off: days and a whole hour, like `Mon-Fri 19:00`.")
    on: HourOfWeek = Field(description="When it comes back: `Mon-Fri 07:00`.")
    skip_days: Days = Field(
        (),
        description="Days on which nothing is switched, such as holidays: what was off the evening before stays off. Days, or "
        "spans like `2026-12-24..2027-01-03`.",
    )
    groups: Labels = Field((), description="Server groups that are switched. Left out: all but the master's.")
    stop_order: tuple[Label, ...] = Field(
        (), description="Groups in the order in which they stop. Left out: tiers backwards, those of one tier at once."
    )
    start_order: tuple[Label, ...] = Field(
        (), description="Groups in the order in which they start. Left out: `stop_order` backwards."
    )
    covers: Covers = Field(default_factory=lambda: Covers.model_validate({}), description="What is switched.")
    tag: TagKey = Field(TAG, description="Tag by which one resource says otherwise: `off` keeps it out of this.")
    checks: Mapping[Label, tuple[HealthCheck, ...]] = Field(
        default_factory=dict,
        description="Questions to the servers of a group, by group, that have to be answered well before the next group "
        "starts. The application's own are those of `release`.",
    )
    settle_s: Seconds = Field(900, description="How long one group may take to stop, or to start and be well.")
