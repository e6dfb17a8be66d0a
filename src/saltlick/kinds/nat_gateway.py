"""A NAT gateway: the way out for servers without a public address. Stands in a public subnet, with its own Elastic IP.

AWS takes one to two minutes to bring it up, and as long to take it down; until then it holds address and subnet.
One that failed stays listed for an hour, a deleted one too: neither counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import Attributes, Kind, Observed, Properties, Scope, Text, Wanted, immutable
from saltlick.engine.wait import until
from saltlick.errors import AwsError
from saltlick.kinds import retry, tags


@dataclass(frozen=True, kw_only=True)
class NatGatewayProperties(Properties):
    subnet: Text = immutable("The public subnet it stands in.")
    elastic_ip: Text = immutable("The allocation id of its public address.")


class NatGateway(Kind):
    """Source: EC2 CreateNatGateway, DescribeNatGateways, DeleteNatGateway."""

    name = "nat_gateway"
    properties = NatGatewayProperties
    iam: ClassVar = {
        "observe": ("ec2:DescribeNatGateways",),
        "create": ("ec2:CreateNatGateway", "ec2:CreateTags", "ec2:DescribeNatGateways"),
        "update": ("ec2:CreateTags",),
        "destroy": ("ec2:DeleteNatGateway", "ec2:DescribeNatGateways"),
    }
    settles = True

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        items = reading.read("ec2", "describe_nat_gateways", "NatGateways", Filters=tags.ours(scope))
        for key, object_tags, gateway in tags.found(items, scope, self.name):
            if gateway["State"] in {"pending", "available"}:
                allocations = [a["AllocationId"] for a in gateway["NatGatewayAddresses"] if a.get("AllocationId")]
                yield Observed(
                    key=key,
                    properties={"subnet": gateway["SubnetId"], "elastic_ip": next(iter(allocations), None)},
                    attributes=_attributes(gateway),
                    references=frozenset({gateway["SubnetId"], *allocations}),
                    tags=object_tags,
                    pending=gateway["State"] == "pending",
                )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        """Waits while the VPC's internet gateway is not attached yet."""
        answer = retry.call_when_free(
            cloud,
            wanted.deadline_s,
            {"Gateway.NotAttached"},
            "ec2",
            "create_nat_gateway",
            SubnetId=wanted.properties.subnet,
            AllocationId=wanted.properties.elastic_ip,
            ClientToken=wanted.token,
            TagSpecifications=tags.in_create("natgateway", wanted.tags),
        )
        return _attributes(answer["NatGateway"])

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        return observed.attributes

    def settle(self, cloud: Cloud, attributes: Attributes, deadline_s: float) -> Attributes:
        """Wait until it carries traffic. Raises: AwsError with AWS's reason when it failed; WaitTimeout."""
        if attributes["state"] == "available":
            return attributes
        gateway = until(
            lambda: _look(cloud, attributes),
            lambda seen: seen.get("State") in {"available", "failed", "deleting", "deleted"},
            what=f"NAT gateway {attributes['id']} available",
            describe=lambda seen: str(seen.get("State", "not shown")),
            deadline_s=deadline_s,
            clock=cloud.clock,
        )
        if gateway["State"] != "available":
            code, message = gateway.get("FailureCode", gateway["State"]), gateway.get("FailureMessage", "")
            raise AwsError(f"NAT gateway {attributes['id']}", code, message)
        return _attributes(gateway)

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        retry.delete(cloud, deadline_s, "ec2", "delete_nat_gateway", NatGatewayId=observed.id)
        until(
            lambda: _look(cloud, observed.attributes).get("State", "deleted"),
            lambda state: state in {"deleted", "failed"},
            what=f"NAT gateway {observed.id} deleted",
            deadline_s=deadline_s,
            clock=cloud.clock,
        )


def _look(cloud: Cloud, attributes: Attributes) -> tags.Item:
    """The gateway as it is now, {} while AWS does not show it.

    Asks for its whole VPC, so that gateways which are waited for at the same time share the call.
    """
    in_vpc = [{"Name": "vpc-id", "Values": [attributes["vpc"]]}]
    items = cloud.call("ec2", "describe_nat_gateways", Filters=in_vpc)["NatGateways"]
    return next((item for item in items if item["NatGatewayId"] == attributes["id"]), {})


def _attributes(gateway: tags.Item) -> dict[str, str]:
    return {"id": gateway["NatGatewayId"], "vpc": gateway["VpcId"], "state": gateway["State"]}
