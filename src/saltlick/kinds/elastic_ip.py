"""An Elastic IP: a public address that stays. A NAT gateway needs one; a server may be given one.

A region has 5 of them unless the quota was raised, and one that is not in use costs money: destroy releases it.
Allocating and associating are two calls; a cut-off one shows `instance` as missing, and update finishes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Text, Wanted, mutable
from saltlick.kinds import retry, tags

NOT_YET = frozenset({"IncorrectInstanceState", "InvalidInstanceID", "Gateway.NotAttached"})
"""How AWS says that the instance is not running yet, or that the VPC has no internet gateway yet."""
STILL_HELD = frozenset({"InvalidIPAddress.InUse"})
"""How AWS says that a NAT gateway on its way out still has the address."""


@dataclass(frozen=True, kw_only=True)
class ElasticIpProperties(Properties):
    instance: Text | None = mutable("The instance that has it. Unset: not managed (a NAT gateway's).", default=None)


class ElasticIp(Kind):
    """Source: EC2 AllocateAddress, AssociateAddress, DisassociateAddress, ReleaseAddress, DescribeAddresses."""

    name = "elastic_ip"
    properties = ElasticIpProperties
    attributes = frozenset({"id", "public_ip"})
    iam: ClassVar = {
        "observe": ("ec2:DescribeAddresses",),
        "create": ("ec2:AllocateAddress", "ec2:CreateTags", "ec2:AssociateAddress"),
        "update": ("ec2:AssociateAddress", "ec2:CreateTags"),
        "destroy": ("ec2:DisassociateAddress", "ec2:ReleaseAddress"),
    }

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        items = reading.read("ec2", "describe_addresses", "Addresses", Filters=tags.ours(scope))
        for key, object_tags, address in tags.found(items, scope, self.name):
            instance = address.get("InstanceId") or None
            yield Observed(
                key=key,
                properties={"instance": instance},
                attributes=_attributes(address),
                references=frozenset({instance} if instance else ()),
                tags=object_tags,
            )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        address = cloud.call(
            "ec2",
            "allocate_address",
            Domain="vpc",
            TagSpecifications=tags.in_create("elastic-ip", wanted.tags),
        )
        if wanted.properties.instance:
            _associate(cloud, address["AllocationId"], wanted)
        return _attributes(address)

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "instance" in fields:
            _associate(cloud, observed.id, wanted)
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Takes it from its instance first; waits while a NAT gateway on its way out still has it."""
        if observed.properties["instance"]:
            retry.delete(
                cloud,
                deadline_s,
                "ec2",
                "disassociate_address",
                AssociationId=observed.attributes["association"],
            )
        retry.delete(cloud, deadline_s, "ec2", "release_address", codes=STILL_HELD, AllocationId=observed.id)


def _associate(cloud: Cloud, allocation_id: str, wanted: Wanted) -> None:
    retry.call_when_free(
        cloud.patient(wanted.deadline_s),
        wanted.deadline_s,
        NOT_YET,
        "ec2",
        "associate_address",
        AllocationId=allocation_id,
        InstanceId=wanted.properties.instance,
        AllowReassociation=True,
    )


def _attributes(address: tags.Item) -> dict[str, str]:
    attributes = {"id": address["AllocationId"], "public_ip": address["PublicIp"]}
    return attributes | ({"association": address["AssociationId"]} if address.get("AssociationId") else {})
