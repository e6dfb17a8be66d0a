"""Networks that a killed Docker keeps and no longer lists: found, thrown away only where nobody else's are, else said."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import docker
import pytest

from saltlick.errors import SaltlickError
from saltlick.sandbox import lost_networks


def network(name: str, number: str, bridge: str = "") -> dict[str, Any]:
    return {"Name": name, "Id": number * 64, "Options": {"com.docker.network.bridge.name": bridge} if bridge else None}


DEFAULTS = [network("bridge", "0", "docker0"), network("host", "1"), network("none", "2")]
VPC = network("saltlick-e2e-vpc-1", "3", "sl-vpc-1")


def engine(*looks: list[dict[str, Any]]) -> docker.DockerClient:
    """Docker that lists these networks, look by look; the last for ever."""
    left = list(looks)

    def listed() -> list[dict[str, Any]]:
        return [*DEFAULTS, *(left.pop(0) if len(left) > 1 else left[0])]

    root = {"DockerRootDir": "/var/lib/docker"}
    return cast("docker.DockerClient", SimpleNamespace(api=SimpleNamespace(networks=listed), info=lambda: root))


def at_once(_seconds: float) -> None:
    """No time passes."""


def machine(folder: Path, *bridges: str) -> Path:
    for name in ("docker0", *bridges):
        (folder / name / "bridge").mkdir(parents=True)
    for name in ("eth0", "sl-cable"):
        (folder / name).mkdir()
    return folder


def test_every_bridge_has_its_network(tmp_path: Path) -> None:
    here = machine(tmp_path, "sl-vpc-1", "br-" + "4" * 12, "br-lan", "virbr0")
    client = engine([VPC, network("office", "4")])
    assert lost_networks.lost(client, here, at_once) == []
    assert lost_networks.removable(client, here, at_once) is None
    lost_networks.refuse(client, here, at_once)


def test_one_of_a_sandbox_is_lost_and_nobody_else_has_any(tmp_path: Path) -> None:
    here = machine(tmp_path, "sl-e2e", "sl-vpc-1")
    assert lost_networks.lost(engine([VPC]), here, at_once) == ["sl-e2e"]
    assert lost_networks.removable(engine([VPC]), here, at_once) == Path("/var/lib/docker/network/files/local-kv.db")


def test_one_without_a_name_of_its_own_is_found_too(tmp_path: Path) -> None:
    assert lost_networks.lost(engine([VPC]), machine(tmp_path, "sl-vpc-1", "br-" + "5" * 12), at_once) == [
        "br-" + "5" * 12
    ]


def test_networks_of_others_are_not_thrown_away_and_the_way_on_is_said(tmp_path: Path) -> None:
    here = machine(tmp_path, "sl-e2e", "br-" + "4" * 12)
    client = engine([network("office", "4")])
    assert lost_networks.removable(client, here, at_once) is None
    said = "rm /var/lib/docker/network/files/local-kv.db; for bridge in br-444444444444 sl-e2e; do ip link delete $bridge; done"
    with pytest.raises(SaltlickError, match=re.escape(said)):
        lost_networks.refuse(client, here, at_once)


def test_one_that_is_being_made_is_not_lost(tmp_path: Path) -> None:
    assert lost_networks.lost(engine([], [VPC]), machine(tmp_path, "sl-vpc-1"), at_once) == []
