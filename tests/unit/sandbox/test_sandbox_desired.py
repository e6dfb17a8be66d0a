"""From what AWS says to what Docker is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.sandbox_clouds import balancer, instance, snapshot

from saltlick.sandbox.cloud import SandboxSnapshot, SandboxVpc
from saltlick.sandbox.desired import Actual, Desired, desired, difference

INTERNET = "198.51.100.0/24"


def want(given: SandboxSnapshot, actual: Actual | None = None) -> Desired:
    return desired(given, INTERNET, actual or Actual())


def as_built(wanted: Desired) -> Actual:
    return Actual(
        networks={network.key: network.cidr for network in wanted.networks},
        machines={machine.key: machine for machine in wanted.machines},
    )


def steps(given: SandboxSnapshot, actual: Actual) -> list[tuple[str, str]]:
    return [(action.verb, action.key) for action in difference(want(given, actual), actual)]


def test_an_instance_is_a_machine_with_the_address_the_api_reports() -> None:
    (machine,) = want(snapshot(instance())).machines
    assert [(leg.network, leg.address) for leg in machine.legs] == [("vpc-a", "10.1.0.4")]
    assert (machine.hostname, machine.running) == ("ip-10-1-0-4", True)


@pytest.mark.parametrize(
    ("state", "running"),
    [("pending", [True]), ("running", [True]), ("stopped", [False]), ("shutting-down", []), ("terminated", [])],
)
def test_machines_follow_the_states_of_the_api(state: str, running: list[bool]) -> None:
    assert [machine.running for machine in want(snapshot(instance(state=state))).machines] == running


def test_a_default_vpc_gets_a_network_only_when_used() -> None:
    assert [n.key for n in want(snapshot()).networks] == ["vpc-a"]
    used = want(snapshot(instance(vpc="vpc-d", private_ip="172.31.0.4")))
    assert [n.key for n in used.networks] == ["vpc-a", "vpc-d"]


def test_the_gateway_is_the_address_aws_reserves_for_it() -> None:
    assert want(snapshot()).networks[0].gateway == "10.1.0.1"


def test_everything_is_made_networks_first() -> None:
    given = snapshot(instance(), balancers=(balancer(),))
    assert steps(given, Actual()) == [
        ("create_network", "vpc-a"),
        ("create_network", "internet"),
        ("create", "i-1"),
        ("create", "www-01234567"),
    ]


def test_what_is_as_it_should_be_stays() -> None:
    given = snapshot(instance(), balancers=(balancer(),))
    assert steps(given, as_built(want(given))) == []


def test_everything_goes_machines_first() -> None:
    given = snapshot(instance(), balancers=(balancer(),))
    gone = [verb for verb, _ in steps(SandboxSnapshot(), as_built(want(given)))]
    assert gone == ["remove", "remove", "remove_network", "remove_network"]


def test_a_network_with_a_machine_in_it_is_not_removed() -> None:
    given = snapshot(instance())
    without_vpc = replace(given, vpcs=())
    assert steps(without_vpc, as_built(want(given))) == []


def test_stop_and_start() -> None:
    running, stopped = snapshot(instance()), snapshot(instance(state="stopped"))
    assert steps(stopped, as_built(want(running))) == [("stop", "i-1")]
    assert steps(running, as_built(want(stopped))) == [("start", "i-1")]


def test_a_vpc_of_another_cidr_is_another_network() -> None:
    built = as_built(want(snapshot()))
    given = snapshot(vpcs=(SandboxVpc(id="vpc-a", cidr="10.9.0.0/16", default=False),))
    assert steps(given, built) == [("remove_network", "vpc-a")]


def test_a_balancer_has_a_leg_in_its_vpc_and_one_outside_that_collide_with_nothing() -> None:
    neighbour = instance(private_ip="10.1.0.254")
    (_, machine) = want(snapshot(neighbour, balancers=(balancer(),))).machines
    assert [(leg.network, leg.address) for leg in machine.legs] == [
        ("internet", "198.51.100.10"),
        ("vpc-a", "10.1.0.253"),
    ]


def test_a_balancer_keeps_its_addresses() -> None:
    given = snapshot(balancers=(balancer(),))
    built = as_built(want(given))
    crowded = replace(given, instances=(instance(private_ip="10.1.0.4"),), balancers=(balancer(), balancer(arn="x/2")))
    again = want(crowded, built).machines
    assert [m.legs for m in again if m.key == "www-01234567"] == [built.machines["www-01234567"].legs]
    addresses = [leg.address for machine in again for leg in machine.legs]
    assert len(addresses) == len(set(addresses))
