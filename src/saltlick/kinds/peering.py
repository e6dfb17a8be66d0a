"""A peering: a private way between two VPCs. Traffic passes once it is accepted and both sides have routes.

Requesting and accepting are two calls; one that was cut off in between shows `accepted` as no, and update accepts it.
Deleted, rejected, expired and failed ones stay listed for a while: none counts. The two ranges must not overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Text, Wanted, immutable, mutable
from saltlick.engine.wait import until
from saltlick.errors import AwsError
from saltlick.kinds import retry, tags

LIVE = frozenset({"initiating-request", "pending-acceptance", "provisioning", "active"})
ACCEPTED = frozenset({"provisioning", "active"})
NOT_YET = frozenset({"OperationNotPermitted", "InvalidStateTransition"})
"""How AWS says that the request is not ready to be accepted yet (or never will be: the ranges overlap)."""
REQUEST_S = 30.0


@dataclass(frozen=True, kw_only=True)
class PeeringProperties(Properties):
    vpc: Text = immutable("The VPC of the environment that declares the peering.")
    peer_vpc: Text = immutable("The other VPC.")
    accepted: bool = mutable("Whether the other side has agreed. Leave it as it is.", default=True)


class Peering(Kind):
    """Both VPCs are in the same account and region.

    Source: EC2 CreateVpcPeeringConnection, AcceptVpcPeeringConnection, DeleteVpcPeeringConnection.
    """

    name = "peering"
    properties = PeeringProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeVpcPeeringConnections",),
        "create": (
            "ec2:CreateVpcPeeringConnection",
            "ec2:CreateTags",
            "ec2:AcceptVpcPeeringConnection",
            "ec2:DescribeVpcPeeringConnections",
        ),
        "update": ("ec2:AcceptVpcPeeringConnection", "ec2:CreateTags", "ec2:DescribeVpcPeeringConnections"),
        "destroy": ("ec2:DeleteVpcPeeringConnection",),
    }
    settles = True

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for key, object_tags, item in tags.found(peerings(reading, scope), scope, self.name):
            if item["Status"]["Code"] in LIVE:
                vpc, peer_vpc = item["RequesterVpcInfo"]["VpcId"], item["AccepterVpcInfo"]["VpcId"]
                state = item["Status"]["Code"]
                yield Observed(
                    key=key,
                    properties={"vpc": vpc, "peer_vpc": peer_vpc, "accepted": state in ACCEPTED},
                    attributes=_attributes(item),
                    references=frozenset({vpc, peer_vpc}),
                    tags=object_tags,
                    pending=state != "active",
                )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        answer = cloud.call(
            "ec2",
            "create_vpc_peering_connection",
            VpcId=wanted.properties.vpc,
            PeerVpcId=wanted.properties.peer_vpc,
            TagSpecifications=tags.in_create("vpc-peering-connection", wanted.tags),
        )
        peering_id = answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        return _accept(cloud.patient(wanted.deadline_s), peering_id, wanted.deadline_s)

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        if "accepted" in fields:
            return _accept(cloud, observed.id, wanted.deadline_s)
        return observed.attributes

    def settle(self, cloud: Cloud, attributes: Attributes, deadline_s: float) -> Attributes:
        """Wait until it is active. Raises: AwsError when the request failed (overlapping ranges); WaitTimeout."""
        if attributes["state"] == "active":
            return attributes
        item = until(
            lambda: _look(cloud, attributes["id"]),
            lambda seen: seen["Status"]["Code"] == "active" or seen["Status"]["Code"] not in LIVE,
            what=f"peering {attributes['id']} active",
            describe=lambda seen: str(seen["Status"]["Code"]),
            deadline_s=deadline_s,
            clock=cloud.clock,
        )
        if item["Status"]["Code"] != "active":
            raise AwsError(f"peering {attributes['id']}", item["Status"]["Code"], item["Status"].get("Message", ""))
        return _attributes(item)

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        gone = ("InvalidStateTransition",)
        retry.delete(
            cloud,
            deadline_s,
            "ec2",
            "delete_vpc_peering_connection",
            gone=gone,
            VpcPeeringConnectionId=observed.id,
        )


def peerings(reading: Reading, scope: Scope) -> tuple[tags.Item, ...]:
    """The scope's peerings, dead ones included; routes take their owner from them."""
    return reading.read("ec2", "describe_vpc_peering_connections", "VpcPeeringConnections", Filters=tags.ours(scope))


def _accept(cloud: Cloud, peering_id: str, deadline_s: float) -> Attributes:
    answer = retry.call_when_free(
        cloud,
        min(deadline_s, REQUEST_S),
        NOT_YET,
        "ec2",
        "accept_vpc_peering_connection",
        VpcPeeringConnectionId=peering_id,
    )
    return _attributes(answer["VpcPeeringConnection"])


def _look(cloud: Cloud, peering_id: str) -> tags.Item:
    answer = cloud.call("ec2", "describe_vpc_peering_connections", VpcPeeringConnectionIds=[peering_id])
    item: tags.Item = answer["VpcPeeringConnections"][0]
    return item


def _attributes(item: tags.Item) -> dict[str, str]:
    return {"id": item["VpcPeeringConnectionId"], "state": item["Status"]["Code"]}
