"""What takes time on AWS and none on moto: told by a script of answers, waited for on a clock that costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.cloud import FakeCloud

from saltlick.engine.resource import Key, Observed, Wanted
from saltlick.errors import AwsError, WaitTimeout
from saltlick.kinds import KINDS

from .estate import BY_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Mapping

Answer = dict[str, Any] | str
"""What AWS says, or the code with which it refuses."""


class Script(FakeCloud):
    """A cloud that answers each operation from its list, the last one for ever."""

    def __init__(self, **answers: list[Answer]) -> None:
        super().__init__()
        self.answers = answers
        self.called: list[str] = []

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        self.called.append(operation)
        script = self.answers.get(operation, [{}])
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, str):
            raise AwsError(operation, answer, "not now")
        return answer


def nat(state: str, **more: str) -> dict[str, Any]:
    return {"NatGateways": [{"NatGatewayId": "nat-1", "VpcId": "vpc-1", "State": state, **more}]}


def instance(state: str, **more: Any) -> dict[str, Any]:
    server = {"InstanceId": "i-1", "VpcId": "vpc-1", "PrivateIpAddress": "10.0.0.4", "State": {"Name": state}, **more}
    return {"Reservations": [{"Instances": [server]}]}


def balancer(state: str, **more: str) -> dict[str, Any]:
    return {
        "LoadBalancers": [{"LoadBalancerArn": "arn:lb", "DNSName": "www.aws", "State": {"Code": state, **more}}],
    }


def peering(state: str, **more: str) -> dict[str, Any]:
    item = {"VpcPeeringConnectionId": "pcx-1", "Status": {"Code": state, **more}}
    return {"VpcPeeringConnections": [item], "VpcPeeringConnection": item}


SETTLING: dict[str, tuple[str, list[Answer], Answer]] = {
    "nat_gateway": (
        "describe_nat_gateways",
        [{"NatGateways": []}, nat("pending"), nat("available")],
        nat("failed", FailureCode="Gateway.NotAttached"),
    ),
    "instance": (
        "describe_instances",
        [{"Reservations": []}, instance("pending"), instance("running")],
        instance("terminated", StateReason={"Code": "Server.InternalError"}),
    ),
    "load_balancer": (
        "describe_load_balancers",
        [balancer("provisioning"), balancer("active")],
        balancer("failed", Reason="no addresses"),
    ),
    "peering": (
        "describe_vpc_peering_connections",
        [peering("provisioning"), peering("active")],
        peering("failed", Message="overlap"),
    ),
}
"""The operation that is polled, what it says on the way to good, and how it says that it went wrong."""
IDS = {"nat_gateway": "nat-1", "instance": "i-1", "load_balancer": "arn:lb", "peering": "pcx-1"}


def attributes(kind: str) -> dict[str, str]:
    return {"id": IDS[kind], "vpc": "vpc-1", "state": "pending"}


def test_every_kind_that_settles_is_here() -> None:
    assert {name for name, kind in KINDS.items() if kind.settles} == set(SETTLING)


@pytest.mark.parametrize("name", SETTLING)
def test_settle_waits_until_it_is_usable(name: str) -> None:
    operation, answers, _ = SETTLING[name]
    cloud = Script(**{operation: list(answers)})
    assert KINDS[name].settle(cloud, attributes(name), 600)["id"] == IDS[name]
    assert len(cloud.called) == len(answers)
    assert cloud.clock.now() > 0


@pytest.mark.parametrize("name", SETTLING)
def test_settle_says_why_it_failed(name: str) -> None:
    operation, _, failed = SETTLING[name]
    with pytest.raises(AwsError, match=IDS[name]):
        KINDS[name].settle(Script(**{operation: [failed]}), attributes(name), 600)


@pytest.mark.parametrize("name", SETTLING)
def test_settle_gives_up_and_says_what_it_saw_last(name: str) -> None:
    operation, answers, _ = SETTLING[name]
    with pytest.raises(WaitTimeout) as late:
        KINDS[name].settle(Script(**{operation: [answers[-2]]}), attributes(name), 60)
    assert late.value.last in {"pending", "provisioning"}
    assert late.value.waited_s >= 60


def observed(kind: str, **properties: Any) -> Observed:
    return Observed(key=Key("prod", f"{kind}/x"), properties=properties, attributes={"id": "x-1", "vpc": "vpc-1"})


@pytest.mark.parametrize(
    ("kind", "operation", "code"),
    [
        ("vpc", "delete_vpc", "DependencyViolation"),
        ("subnet", "delete_subnet", "DependencyViolation"),
        ("route_table", "delete_route_table", "DependencyViolation"),
        ("security_group", "delete_security_group", "DependencyViolation"),
        ("internet_gateway", "detach_internet_gateway", "DependencyViolation"),
        ("target_group", "delete_target_group", "ResourceInUse"),
        ("elastic_ip", "release_address", "InvalidIPAddress.InUse"),
    ],
)
def test_deleting_waits_for_what_still_uses_it(kind: str, operation: str, code: str) -> None:
    answers: list[Answer] = [code, code, {}]
    cloud = Script(**{operation: answers})
    KINDS[kind].destroy(cloud, observed(kind, vpc="vpc-1", instance=None), 600)
    assert cloud.called.count(operation) == 3


def test_deleting_gives_up_and_says_what_aws_said() -> None:
    with pytest.raises(WaitTimeout, match="DependencyViolation"):
        KINDS["vpc"].destroy(Script(delete_vpc=["DependencyViolation"]), observed("vpc"), 60)


def test_a_server_and_a_nat_gateway_are_waited_for_until_gone() -> None:
    cloud = Script(describe_instances=[instance("running"), instance("shutting-down"), instance("terminated")])
    KINDS["instance"].destroy(
        cloud, Observed(key=Key("p", "a/b"), properties={}, attributes=attributes("instance")), 600
    )
    assert cloud.called == ["terminate_instances", *["describe_instances"] * 3]
    cloud = Script(describe_nat_gateways=[nat("deleting"), nat("deleted")])
    KINDS["nat_gateway"].destroy(
        cloud, Observed(key=Key("p", "a/b"), properties={}, attributes=attributes("nat_gateway")), 600
    )
    assert cloud.called == ["delete_nat_gateway", *["describe_nat_gateways"] * 2]


def wanted(address: str, **properties: Any) -> Wanted:
    resource = BY_ADDRESS[address]
    return Wanted(
        resource=resource,
        properties=KINDS[resource.kind].properties(**properties),
        tags=resource.all_tags(),
        token="t-1",
        deadline_s=600,
    )


def test_a_server_waits_until_ec2_has_heard_of_its_profile() -> None:
    cloud = Script(
        run_instances=[
            "InvalidParameterValue",
            "InvalidParameterValue",
            {"Instances": instance("pending")["Reservations"][0]["Instances"]},
        ]
    )
    server = wanted("instance/app-1", image="ami-1", type="t3.small", subnet="s", security_groups=(), profile="p")
    assert KINDS["instance"].create(cloud, server)["id"] == "i-1"
    assert cloud.called == ["run_instances"] * 3


def test_without_a_profile_a_wrong_parameter_is_refused_at_once() -> None:
    cloud = Script(run_instances=["InvalidParameterValue"])
    with pytest.raises(AwsError, match="InvalidParameterValue"):
        KINDS["instance"].create(
            cloud, wanted("instance/app-1", image="ami-1", type="t3.small", subnet="s", security_groups=())
        )
    assert cloud.called == ["run_instances"]


def test_a_nat_gateway_waits_for_the_internet_gateway() -> None:
    cloud = Script(create_nat_gateway=["Gateway.NotAttached", {"NatGateway": nat("pending")["NatGateways"][0]}])
    created = KINDS["nat_gateway"].create(cloud, wanted("nat_gateway/az1", subnet="s", elastic_ip="e"))
    assert created["id"] == "nat-1"


def test_a_peering_is_accepted_when_the_request_is_ready() -> None:
    cloud = Script(
        create_vpc_peering_connection=[peering("initiating-request")],
        accept_vpc_peering_connection=["OperationNotPermitted", peering("provisioning")],
    )
    created = KINDS["peering"].create(cloud, wanted("peering/control", vpc="v", peer_vpc="w"))
    assert created == {"id": "pcx-1", "state": "provisioning"}


def test_an_address_waits_until_its_server_runs() -> None:
    cloud = Script(
        allocate_address=[{"AllocationId": "eipalloc-1", "PublicIp": "192.0.2.1"}],
        associate_address=["IncorrectInstanceState", {}],
    )
    assert KINDS["elastic_ip"].create(cloud, wanted("elastic_ip/app-1", instance="i-1"))["public_ip"] == "192.0.2.1"
    assert cloud.called.count("associate_address") == 2
