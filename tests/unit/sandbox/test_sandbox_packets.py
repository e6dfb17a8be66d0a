"""Which packets may pass between VPCs."""

from __future__ import annotations

from pathlib import Path

import pytest

from saltlick.sandbox import packets
from saltlick.sandbox.cloud import SandboxPeering, SandboxRoute, SandboxSnapshot, SandboxSubnet
from saltlick.sandbox.packets import Passage
from saltlick.sandbox.settings import Settings

TO_B = SandboxRoute(destination="10.2.0.0/16", peering="pcx-1")
TO_A = SandboxRoute(destination="10.1.0.0/16", peering="pcx-1")
BOTH = {"vpc-a": "10.1.0.0/16", "vpc-b": "10.2.0.0/16"}
OPEN = (Passage("vpc-a", "10.1.0.0/24", "vpc-b", "10.2.0.0/24"),)


def snapshot(a: tuple[SandboxRoute, ...], b: tuple[SandboxRoute, ...], *, active: bool = True) -> SandboxSnapshot:
    return SandboxSnapshot(
        subnets=(
            SandboxSubnet(id="subnet-a", vpc="vpc-a", cidr="10.1.0.0/24", routes=a),
            SandboxSubnet(id="subnet-b", vpc="vpc-b", cidr="10.2.0.0/24", routes=b),
        ),
        peerings=(SandboxPeering(id="pcx-1", vpcs=frozenset({"vpc-a", "vpc-b"})),) if active else (),
    )


@pytest.mark.parametrize(
    ("case", "given", "found"),
    [
        ("routes on both sides", snapshot((TO_B,), (TO_A,)), OPEN),
        ("no peering", snapshot((TO_B,), (TO_A,), active=False), ()),
        ("no way there", snapshot((), (TO_A,)), ()),
        ("no way back", snapshot((TO_B,), ()), ()),
        ("a peering of others", snapshot((SandboxRoute(destination="10.2.0.0/16", peering="pcx-2"),), (TO_A,)), ()),
        ("route to another subnet", snapshot((SandboxRoute(destination="10.2.9.0/24", peering="pcx-1"),), (TO_A,)), ()),
        (
            "a more specific route leads elsewhere",
            snapshot((TO_B, SandboxRoute(destination="10.2.0.0/24", peering=None)), (TO_A,)),
            (),
        ),
        (
            "a less specific route leads elsewhere",
            snapshot((TO_B, SandboxRoute(destination="0.0.0.0/0", peering=None)), (TO_A,)),
            OPEN,
        ),
    ],
)
def test_two_subnets_talk_only_with_a_peering_and_routes_on_both_sides(
    case: str, given: SandboxSnapshot, found: tuple[Passage, ...]
) -> None:
    assert packets.passages(given) == found, case


def test_a_passage_is_open_both_ways_and_keeps_the_source_address() -> None:
    text = packets.render(Settings(directory=Path("/x"), name="t"), BOTH, OPEN, [])
    for source, destination in (("10.1.0.0/24", "10.2.0.0/24"), ("10.2.0.0/24", "10.1.0.0/24")):
        assert f"-A SALTLICK-t-POST -s {source} -d {destination} -j ACCEPT" in text
    assert "-A SALTLICK-t-FWD -i sl-vpc-a -o sl-vpc-b -s 10.1.0.0/24 -d 10.2.0.0/24 -j ACCEPT" in text
    assert "-A SALTLICK-t-FWD -i sl-vpc-b -o sl-vpc-a -s 10.2.0.0/24 -d 10.1.0.0/24 -j ACCEPT" in text


def test_servers_of_one_network_see_each_others_own_address() -> None:
    """Databases let each other in by it. Ours stands above what a Docker that died has left for the same network."""
    lines = packets.render(Settings(directory=Path("/x"), name="t"), BOTH, [], []).splitlines()
    for network in BOTH.values():
        assert f"-A SALTLICK-t-POST -s {network} -d {network} -j ACCEPT" in lines


def test_metadata_and_names_are_redirected_on_our_bridges_only() -> None:
    settings = Settings(directory=Path("/x"), name="t", port=7000)
    text = packets.render(settings, {"vpc-a": "10.1.0.0/16"}, [], [])
    redirects = [line for line in text.splitlines() if "REDIRECT" in line]
    assert len(redirects) == 4
    assert all(line.startswith("-A SALTLICK-t-PRE -i sl-vpc-a ") for line in redirects)
    assert "-d 169.254.169.254/32 -p tcp --dport 80 -j REDIRECT --to-ports 7001" in text


def test_a_bridge_has_a_name_the_kernel_takes() -> None:
    assert len(packets.bridge("vpc-0123456789abcdef0")) <= 15
    assert packets.bridge("vpc-0123456789abcdef0") != packets.bridge("vpc-0123456789abcdef1")
