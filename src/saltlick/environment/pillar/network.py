"""Network part of an environment: its subnets and the firewall rules between groups."""

from __future__ import annotations

from enum import Enum

from pydantic import Field

from saltlick.schema.fields import AwsNetwork, Model, Ports, Protocols, Sources


class Nat(str, Enum):
    """How servers of a private tier reach the internet."""

    NONE = "none"
    ONE = "one"
    PER_ZONE = "per_zone"


class Tier(Model):
    """Like subnets, one per zone: `<tier>-az1`, `<tier>-az2`, … in the order of `zones`."""

    cidrs: tuple[AwsNetwork, ...] = Field(min_length=1, description="One network per zone, in the order of `zones`.")
    nat: Nat = Field(
        Nat.NONE,
        description="How servers here reach the internet: not at all, through one NAT gateway in the first zone, "
        "or through one in each zone.",
    )
    public: bool | None = Field(
        None, description="Whether the default route is the internet gateway. Left out: only the tier named `public`."
    )


class FirewallRule(Model):
    """Who may open connections to the servers of a group, at which ports. Answers always pass; nothing else does."""

    sources: Sources = Field(
        alias="from",
        min_length=1,
        description="`world`, `self`, another group, a peer (its whole network), `peers` (all of them), "
        "a network like 192.0.2.0/24, or a list of these.",
    )
    tcp: Ports = Field((), description="Port, range (`4505-4506`) or a list of them.")
    udp: Ports = Field((), description="Port, range or a list of them.")
    icmp: bool = Field(False, description="Whether ICMP (ping) may come in.")
    ip_protocol: Protocols = Field((), description="Number of another IP protocol, or a list of them: 112 is VRRP.")
    description: str = Field("", max_length=255, description="Shown on the rule in AWS.")
