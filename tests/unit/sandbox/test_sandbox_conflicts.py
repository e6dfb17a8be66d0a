"""Other sandboxes on this machine: the living are left alone, ruins are known as such, taken addresses are found."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import docker
import pytest

from saltlick.errors import SaltlickError
from saltlick.sandbox import conflicts, process
from saltlick.sandbox.conflicts import Neighbour, overlap, refuse_namesake, taken
from saltlick.sandbox.settings import Settings

# A default route, Docker's own bridge, an office network and a route to a single host.
ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0
docker0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0
tun0 0000140A 00000000 0001 0 0 0 0000FFFF 0 0 0
eth0 0101A8C0 00000000 0005 0 0 0 FFFFFFFF 0 0 0
"""


def network(name: str, cidr: str, **labels: str) -> dict[str, Any]:
    options = {"com.docker.network.bridge.name": "docker0"} if name == "bridge" else None
    return {"Name": name, "Id": "f" * 64, "Labels": labels, "Options": options, "IPAM": {"Config": [{"Subnet": cidr}]}}


def engine(*networks: dict[str, Any], containers: tuple[dict[str, Any], ...] = ()) -> docker.DockerClient:
    def having(objects: tuple[dict[str, Any], ...], filters: dict[str, str] | None) -> list[dict[str, Any]]:
        return [o for o in objects if not filters or filters["label"] in o["Labels"]]

    api = SimpleNamespace(
        networks=lambda filters=None: having(networks, filters),
        containers=lambda all, filters: having(containers, filters),  # noqa: A006
    )
    return cast("docker.DockerClient", SimpleNamespace(api=api))


def labels(name: str, directory: Path) -> dict[str, str]:
    return {"saltlick.sandbox": name, "saltlick.directory": str(directory)}


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return Settings(directory=tmp_path / "own")


def living(directory: Path) -> Path:
    """A folder of a sandbox whose hypervisor is this very process."""
    directory.mkdir()
    pid = os.getpid()
    (directory / "hypervisor.pid").write_text(json.dumps({"pid": pid, "started": process.started_at(pid)}))
    return directory


def test_all_but_our_own_are_found_once_and_only_those_whose_hypervisor_runs_are_alive(
    own: Settings, tmp_path: Path
) -> None:
    here = living(tmp_path / "here")
    client = engine(
        network("a", "10.1.0.0/16", **labels("main", own.directory)),
        network("b", "10.2.0.0/16", **labels("blue", here)),
        network("c", "10.3.0.0/16"),
        containers=({"Labels": labels("blue", here)}, {"Labels": labels("main", tmp_path / "gone")}),
    )
    found = conflicts.neighbours(client, own)
    assert found == [Neighbour(name="blue", directory=here), Neighbour(name="main", directory=tmp_path / "gone")]
    assert [other.alive for other in found] == [True, False]


def test_a_living_namesake_is_refused_with_the_way_out_and_a_dead_one_is_not(own: Settings, tmp_path: Path) -> None:
    here = living(tmp_path / "here")
    refuse_namesake(own, [Neighbour(name="blue", directory=here), Neighbour(name="main", directory=tmp_path / "gone")])
    with pytest.raises(SaltlickError, match=rf"--directory {here} down"):
        refuse_namesake(own, [Neighbour(name="main", directory=here)])


def test_addresses_are_taken_by_others_and_by_the_machine_but_not_by_ourselves(own: Settings, tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(ROUTES)
    client = engine(
        network("bridge", "172.17.0.0/16"),
        network("six", "fd00::/64"),
        network("ours", "10.10.0.0/16", **labels("main", own.directory)),
        network("theirs", "172.20.0.0/16", **labels("blue", tmp_path)),
    )
    others = taken(client, own, routes)
    assert {str(t.cidr) for t in others} == {"172.17.0.0/16", "172.20.0.0/16", "10.20.0.0/16", "192.168.1.1/32"}

    def by(cidr: str) -> str | None:
        other = overlap(cidr, others)
        return other.by if other else None

    assert by("172.20.4.0/24") == f"Docker's network theirs, sandbox 'blue' of {tmp_path}"
    assert by("10.0.0.0/8") == "the route over tun0"
    assert by("172.16.0.0/12") == "Docker's network bridge"
    assert by("10.10.0.0/16") is None
    assert by("nonsense") is None
