"""The sandbox as a whole: faults, two `up` at once, crash and recovery, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from click.testing import CliRunner
from e2e.sandbox.clouds_apart import boot, eventually, site

from saltlick.errors import SaltlickError
from saltlick.sandbox.cli import sandbox as command
from saltlick.sandbox.control import Sandbox
from saltlick.sandbox.faults import Faults
from saltlick.sandbox.settings import Settings

SILENT = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Sandbox]:
    """A second sandbox beside the session's."""
    box = Sandbox(Settings(directory=tmp_path / "s", name="e2e-own", port=25566, internet="192.0.2.128/25"))
    yield box
    box.down()


def client(box: Sandbox, service: str = "ec2") -> Any:
    key = box.environment()["AWS_ACCESS_KEY_ID"]
    keys = {"aws_access_key_id": key, "aws_secret_access_key": "x", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=box.settings.endpoint, config=SILENT, **keys)


def traces() -> dict[str, list[str]]:
    """What a sandbox could leave behind on this machine, but for what other sandboxes and people come and go with."""

    def lines(*words: str) -> list[str]:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()

    mine = "e2e-own"
    return {
        "containers": [x for x in lines("docker", "ps", "-a", "--format", "{{.Names}}") if mine in x],
        "networks": [x for x in lines("docker", "network", "ls", "--format", "{{.Name}}") if mine in x],
        "rules": [x for x in lines("iptables-save") if mine in x or "10.204.0.0/16" in x or "192.0.2.128/25" in x],
        "addresses": [x for x in lines("ip", "-br", "addr") if "10.204." in x or "192.0.2.129" in x],
        "processes": [x for x in lines("ps", "-ww", "-eo", "args") if "sandbox.serve" in x and x.endswith("/s")],
    }


def populate(box: Sandbox) -> str:
    """An instance and a load balancer, both with their containers running."""
    ec2 = client(box)
    here = site(ec2, "10.204")
    instance: str = boot(ec2, here.subnet, "lonely")["InstanceId"]
    client(box, "elbv2").create_load_balancer(Name="lonely", Subnets=[here.subnet])
    eventually(lambda: len(traces()["containers"]), lambda count: count == 2, 60)
    return instance


NOTHING: dict[str, list[str]] = {"containers": [], "networks": [], "rules": [], "addresses": [], "processes": []}


def test_down_leaves_nothing_and_up_starts_empty(own: Sandbox) -> None:
    assert traces() == NOTHING
    own.up()
    populate(own)
    assert all(traces().values())
    assert own.down()
    assert traces() == NOTHING
    assert not own.down()
    assert own.up()["instances"] == []


def test_a_crash_is_cleaned_by_down_and_recovered_by_up(own: Sandbox) -> None:
    for recover in (own.down, own.up):
        pid = own.up()["pid"]
        populate(own)
        os.kill(pid, signal.SIGKILL)
        eventually(own.is_up, lambda seen: not seen, 10)
        recover()
        assert traces()["containers"] == []
        assert [line for line in traces()["networks"] if "internet" in line] == []
    assert own.is_up()


def test_what_a_dead_sandbox_left_is_cleared_by_the_next_one_and_a_living_namesake_is_not(
    own: Sandbox, tmp_path: Path
) -> None:
    elsewhere = Settings(directory=tmp_path / "elsewhere", name="e2e-own", port=25576, internet="192.0.2.128/25")
    lines: list[str] = []
    other = Sandbox(elsewhere, lines.append)
    pid = own.up()["pid"]
    populate(own)
    with pytest.raises(SaltlickError, match=f"--directory {own.settings.directory} down"):
        other.up()
    other.down()
    assert own.is_up()
    assert len(traces()["containers"]) == 2
    os.kill(pid, signal.SIGKILL)
    eventually(own.is_up, lambda seen: not seen, 10)
    try:
        other.up()
        assert f"the sandbox 'e2e-own' of {own.settings.directory} is dead" in lines
        assert traces()["containers"] == []
    finally:
        other.down()


def test_a_vpc_that_this_machine_has_no_room_for_is_refused_at_once(own: Sandbox, sandbox: Sandbox) -> None:
    client(sandbox).create_vpc(CidrBlock="10.205.0.0/16")
    eventually(lambda: sandbox.status()["networks"].values(), lambda cidrs: "10.205.0.0/16" in cidrs, 60)
    own.up()
    with pytest.raises(
        ClientError, match=r"10\.205\.0\.0/20 cannot be a VPC .* sandbox 'e2e' of .* has 10\.205\.0\.0/16"
    ):
        client(own).create_vpc(CidrBlock="10.205.0.0/20")


def test_two_ups_at_once_start_one(own: Sandbox) -> None:
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: own.up(), range(2))
    assert first["pid"] == second["pid"]
    assert len(traces()["processes"]) == 1


def test_a_taken_port_is_told(own: Sandbox, sandbox: Sandbox, tmp_path: Path) -> None:
    thief = Sandbox(Settings(directory=tmp_path / "t", name="e2e-thief", port=sandbox.settings.port))
    with pytest.raises(Exception, match="in use"):
        thief.up()
    thief.down()
    assert sandbox.is_up()


def test_faults_on_request(own: Sandbox) -> None:
    own.up(Faults(throttle_rate=1))
    ec2 = client(own)
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        ec2.create_vpc(CidrBlock="10.204.0.0/16")
    own.faults(Faults(error_rate=1))
    with pytest.raises(ClientError, match="InternalError"):
        ec2.create_vpc(CidrBlock="10.204.0.0/16")
    own.faults(Faults())
    count = len(ec2.describe_vpcs()["Vpcs"])
    own.faults(Faults(lost_rate=1))
    with pytest.raises(ConnectionClosedError):
        ec2.create_vpc(CidrBlock="10.204.0.0/16")
    own.faults(Faults())
    assert len(ec2.describe_vpcs()["Vpcs"]) == count + 1


def test_the_published_image_parameter_resolves_and_boots(own: Sandbox) -> None:
    own.up()
    parameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    image = client(own, "ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    images = client(own).describe_images(ImageIds=[image, "ami-0d12d12d12d12d12d"])["Images"]
    assert {i["RootDeviceName"] for i in images} == {"/dev/xvda"}


def test_the_command_line(own: Sandbox) -> None:
    run = CliRunner()
    where = ["--directory", str(own.settings.directory)]
    own.up()
    name = populate(own)
    status = json.loads(run.invoke(command, [*where, "status", "--json"]).output)
    assert [i["id"] for i in status["instances"]] == [name]
    assert f"AWS_ENDPOINT_URL={own.settings.endpoint}" in run.invoke(command, [*where, "env"]).output
    line = [sys.executable, "-c", "from saltlick.sandbox.cli import sandbox; sandbox()", *where]
    shell = subprocess.run(
        [*line, "shell", "lonely", "--", "sh", "-c", "echo $0; exit 7"], capture_output=True, text=True
    )
    assert (shell.returncode, shell.stdout) == (7, "sh\n")
    unknown = run.invoke(command, [*where, "shell", "nobody"])
    assert unknown.exit_code == 2
    assert "lonely" in unknown.output
    assert run.invoke(command, [*where, "down"]).stdout == "The sandbox is down.\n"
    missing = run.invoke(command, [*where, "status"])
    assert missing.exit_code == 4
    assert "saltlick sandbox up" in missing.output
