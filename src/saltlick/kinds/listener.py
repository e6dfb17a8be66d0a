"""A listener: a port of a balancer, and the target group that its requests go to.

Its identity is its balancer's and its port: `<balancer>:<port>`. That saves reading its tags.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import (
    Attributes,
    Key,
    Kind,
    Observed,
    Properties,
    Scope,
    Text,
    Wanted,
    immutable,
    mutable,
)
from saltlick.kinds import balancing, retry, tags


@dataclass(frozen=True, kw_only=True)
class ListenerProperties(Properties):
    balancer: Text = immutable("The load balancer's ARN.")
    port: int = immutable("The port it listens on.")
    protocol: str = mutable("HTTP or HTTPS: how visitors talk to it.", default="HTTP")
    target_group: Text = mutable("The ARN of the target group that requests go to.")


class Listener(Kind):
    """Source: ELBv2 CreateListener, ModifyListener, DeleteListener, DescribeListeners."""

    name = "listener"
    properties = ListenerProperties
    iam: ClassVar = {
        "observe": (
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTags",
            "ec2:DescribeVpcs",
        ),
        "create": ("elasticloadbalancing:CreateListener", "elasticloadbalancing:AddTags"),
        "update": ("elasticloadbalancing:ModifyListener",),
        "destroy": ("elasticloadbalancing:DeleteListener",),
    }
    dies_with: ClassVar[frozenset[str]] = frozenset({"load_balancer"})

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        """One call for each of the scope's balancers: AWS lists listeners no other way."""
        for balancer_key, _, balancer in balancing.our_balancers(reading, scope):
            arn = balancer["LoadBalancerArn"]
            for item in reading.read(balancing.SERVICE, "describe_listeners", "Listeners", LoadBalancerArn=arn):
                yield _observed(balancer_key, item)

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        answer = cloud.call(
            balancing.SERVICE,
            "create_listener",
            LoadBalancerArn=wanted.properties.balancer,
            Port=wanted.properties.port,
            Tags=tags.as_list(wanted.tags),
            **_mutable(wanted.properties),
        )
        return {"id": answer["Listeners"][0]["ListenerArn"]}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if fields - {"tags"}:
            properties = _mutable(wanted.properties)
            cloud.call(balancing.SERVICE, "modify_listener", ListenerArn=observed.id, **properties)
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        retry.delete(cloud, deadline_s, balancing.SERVICE, "delete_listener", ListenerArn=observed.id)


def _observed(balancer: Key, item: tags.Item) -> Observed:
    name = balancer.address.partition("/")[2]
    groups = [a["TargetGroupArn"] for a in item["DefaultActions"] if a["Type"] == "forward" and "TargetGroupArn" in a]
    group = next(iter(groups), None)
    return Observed(
        key=Key(balancer.environment, f"listener/{name}:{item['Port']}"),
        properties={
            "balancer": item["LoadBalancerArn"],
            "port": item["Port"],
            "protocol": item["Protocol"],
            "target_group": group,
        },
        attributes={"id": item["ListenerArn"]},
        references=frozenset({item["LoadBalancerArn"], *groups}),
    )


def _mutable(properties: Any) -> dict[str, Any]:
    forward = {"Type": "forward", "TargetGroupArn": properties.target_group}
    return {"Protocol": properties.protocol, "DefaultActions": [forward]}
