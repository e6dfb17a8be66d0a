"""The order in which things go off, and come on: one turn after the other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from saltlick.environment.pillar import Environment
from saltlick.offhours.pillar import OffHours, start_order, stop_order
from saltlick.offhours.schedule import OnOff


class ServiceType(str, Enum):
    """What is switched, by AWS's name for it, which is Custodian's too."""

    ASG = "asg"
    EC2 = "ec2"
    RDS = "rds"


@dataclass(frozen=True, slots=True)
class Turn:
    """What is switched at once: groups of servers, or all Auto Scaling groups, or all databases of RDS."""

    service: ServiceType
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(self.groups) or {ServiceType.ASG: "Auto Scaling groups", ServiceType.RDS: "RDS"}[self.service]


def turns(hours: OffHours, environment: Environment, side: OnOff) -> tuple[Turn, ...]:
    """Off: Auto Scaling groups, servers, RDS. On: the other way round."""
    covers = hours.covers
    order = (stop_order if side is OnOff.OFF else start_order)(hours, environment)
    servers = [Turn(ServiceType.EC2, groups) for groups in order] if covers.ec2 else []
    first = [Turn(ServiceType.ASG)] if covers.asg else []
    last = [Turn(ServiceType.RDS)] if covers.rds else []
    return (*first, *servers, *last) if side is OnOff.OFF else (*last, *servers, *first)
