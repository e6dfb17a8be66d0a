"""The order in which things go off, and come on: one turn after the other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from saltlick.offhours.schedule import Side
from saltlick.spec import Environment, offhours
from saltlick.spec.offhours import OffHours


class Service(str, Enum):
    """What is switched, by AWS's name for it, which is Custodian's too."""

    ASG = "asg"
    EC2 = "ec2"
    RDS = "rds"


@dataclass(frozen=True, slots=True)
class Turn:
    """What is switched at once: groups of servers, or all Auto Scaling groups, or all databases of RDS."""

    service: Service
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(self.groups) or {Service.ASG: "Auto Scaling groups", Service.RDS: "RDS"}[self.service]


def turns(hours: OffHours, environment: Environment, side: Side) -> tuple[Turn, ...]:
    """Off: Auto Scaling groups, servers, RDS. On: the other way round."""
    covers = hours.covers
    order = (offhours.stops if side is Side.OFF else offhours.starts)(hours, environment)
    servers = [Turn(Service.EC2, groups) for groups in order] if covers.ec2 else []
    first = [Turn(Service.ASG)] if covers.asg else []
    last = [Turn(Service.RDS)] if covers.rds else []
    return (*first, *servers, *last) if side is Side.OFF else (*last, *servers, *first)
