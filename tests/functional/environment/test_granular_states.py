"""The `vpc` and `ec2` states in an SLS of one's own, by a real orchestration against moto."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from functional.environment.test_orchestration import audit, quickly

pytestmark = pytest.mark.timeout(300)

PLACE = [{"environment": "stage"}, {"region": "us-east-1"}]
IMAGE = "ami-12c6146b"  # one of those that moto brings along
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtQUDZWhs8k/cZcykMkaoX7ZE7DXld8TP79HyddMVTS ops"

# state, name, arguments: in the order in which they need each other
NETWORK: list[tuple[str, str, dict[str, Any]]] = [
    ("vpc", "main", {"cidr": "10.30.0.0/16"}),
    ("vpc", "other", {"cidr": "10.31.0.0/16"}),
    ("vpc.internet_gateway", "main", {"vpc": "vpc/main"}),
    ("vpc.subnet", "public-az1", {"vpc": {"ref": "vpc/main"}, "cidr": "10.30.0.0/24", "zone": "us-east-1a"}),
    ("ec2.elastic_ip", "nat-az1", {}),
    ("vpc.nat_gateway", "az1", {"subnet": "subnet/public-az1", "elastic_ip": "elastic_ip/nat-az1"}),
    ("vpc.peering", "other", {"vpc": "vpc/main", "peer_vpc": "stage:vpc/other"}),
    (
        "vpc.route_table",
        "public",
        {
            "vpc": "vpc/main",
            "routes": [
                {"destination": "0.0.0.0/0", "gateway": "internet_gateway/main"},
                {"destination": "10.31.0.0/16", "peering": "peering/other"},
            ],
            "subnets": ["subnet/public-az1"],
        },
    ),
    ("vpc.security_group", "lb", {"vpc": "vpc/main", "description": "Balancers"}),
    (
        "vpc.security_group",
        "app",
        {
            "vpc": "vpc/main",
            "description": "Application servers",
            "ingress": [
                {"protocol": "tcp", "from_port": 80, "to_port": 80, "source": "security_group/lb"},
                {"protocol": "tcp", "from_port": 22, "to_port": 22, "source": "10.0.0.0/8"},
            ],
        },
    ),
    ("ec2.key_pair", "ops", {"public_key": PUBLIC_KEY}),
    (
        "ec2.instance",
        "app-1",
        {"image": IMAGE, "type": "t3.small", "subnet": "subnet/public-az1", "security_groups": ["security_group/app"]},
    ),
]


def sls(wanted: str, things: list[tuple[str, str, dict[str, Any]]]) -> str:
    """An SLS that has all these things present, or in reverse absent."""
    states = {}
    for module, name, arguments in things if wanted == "present" else reversed(things):
        function = f"vpc.{wanted}" if module == "vpc" else f"{module}_{wanted}"
        given = [{key: value} for key, value in arguments.items()] if wanted == "present" else []
        states[f"{module}/{name}"] = {function: [{"name": name}, *PLACE, *given]}
    return yaml.safe_dump(states, sort_keys=False)


def results(states: dict[str, Any]) -> set[Any]:
    return {state["result"] for state in states.values()}


def test_a_network_with_a_server_by_hand(master, ec2):
    master.sls("stage", sls("present", NETWORK))
    code, states = quickly(master, "stage", "test=True")
    assert code == 0
    assert results(states) == {None}
    assert not ec2.describe_vpcs(Filters=[{"Name": "tag:saltlick:environment", "Values": ["stage"]}])["Vpcs"]

    code, states = quickly(master, "stage")
    assert code == 0, {name: state["comment"] for name, state in states.items() if not state["result"]}
    assert all(state["changes"] for state in states.values())

    code, states = quickly(master, "stage")
    assert code == 0
    assert {name: state["changes"] for name, state in states.items() if state["changes"]} == {}
    assert "unchanged" in states["vpc.subnet/public-az1"]["comment"]

    code, states = quickly(master, "stage", "test=True")
    assert results(states) == {True}
    assert set(audit(master)) == {"taken", "released"}

    without = [
        (module, name, {key: value[:1] if key in {"routes", "ingress"} else value for key, value in arguments.items()})
        for module, name, arguments in NETWORK
    ]
    master.sls("stage", sls("present", without))
    code, states = quickly(master, "stage")
    assert states["vpc.route_table/public"]["changes"].keys() == {"stage:route/public:10.31.0.0/16"}
    assert states["vpc.security_group/app"]["changes"].keys() == {"stage:security_group_rules/app"}
    assert {name for name, state in states.items() if state["changes"]} == {
        "vpc.route_table/public",
        "vpc.security_group/app",
    }

    master.sls("gone", sls("absent", NETWORK))
    code, states = quickly(master, "gone", "test=True")
    assert {name for name, state in states.items() if state["result"] is not None} == set()
    code, states = quickly(master, "gone")
    assert code == 0, {name: state["comment"] for name, state in states.items() if not state["result"]}
    assert not ec2.describe_vpcs(Filters=[{"Name": "tag:saltlick:environment", "Values": ["stage"]}])["Vpcs"]
    code, states = quickly(master, "gone")
    assert (code, results(states)) == (0, {True})
    assert not any(state["changes"] for state in states.values())


def test_arguments_that_do_not_fit_are_all_named_and_nothing_is_made(master):
    wrong = (
        "vpc.security_group",
        "app",
        {"vpc": "vpc/main", "description": 5, "ingress": [{"protocol": "tcp", "port": 80}]},
    )
    master.sls("stage", sls("present", [wrong]))
    code, states = quickly(master, "stage")
    assert code != 0
    comment = states["vpc.security_group/app"]["comment"]
    for part in ("port is not known", "from_port", "source"):
        assert part in comment, comment


def test_what_is_needed_first_is_named(master):
    master.sls(
        "stage",
        sls("present", [("vpc.subnet", "a", {"vpc": "vpc/nowhere", "cidr": "10.30.0.0/24", "zone": "us-east-1a"})]),
    )
    code, states = quickly(master, "stage")
    assert code != 0
    assert "stage:vpc/nowhere" in states["vpc.subnet/a"]["comment"]
