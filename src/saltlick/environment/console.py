"""What AWS confirms about a server: its instance, the network it is in, and that instance's console output.

The console is an authenticated channel: only AWS answers GetConsoleOutput, and only root on the instance writes to it. But
root also writes there what others said, so only whole lines of the boot script count, and a fingerprint only with the
server's nonce, which is in its user data and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from saltlick.engine.ports import Cloud
from saltlick.engine.resource import TAG_ADDRESS, TAG_ENVIRONMENT, TAG_NAME
from saltlick.errors import AwsError
from saltlick.words import clean

LIVING = frozenset({"pending", "running", "stopping", "stopped"})

_FINGER = re.compile(r"saltlick: minion fingerprint ((?:[0-9a-f]{2}:){31}[0-9a-f]{2}) boot ([0-9a-f]{32})")
_FAILED = re.compile(r"saltlick: (FAILED: .*)")
_DONE = re.compile(r"saltlick: (minion started|master ready)")


@dataclass(frozen=True, slots=True)
class ConsoleInstance:
    """One instance that is not terminated. `name` is its server's name, `address` its resource; both are only its tags.

    `network` is the environment of the VPC that it is in, `subnet` the address of its subnet, each by that object's own
    tags; "" where it has none.
    """

    id: str
    name: str
    environment: str
    state: str
    launched: datetime | None = None
    private_ip: str = ""
    public_ip: str = ""
    address: str = ""
    network: str = ""
    subnet: str = ""


@dataclass(frozen=True, slots=True)
class ConsoleLook:
    """All instances and the environments whose networks AWS showed, in one look."""

    instances: tuple[ConsoleInstance, ...] = ()
    networks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Consoles:
    """The instances of a region that are in a network of Saltlick's or carry its tags, and their consoles.

    IAM: ec2:DescribeInstances, ec2:DescribeSubnets, ec2:DescribeVpcs, ec2:GetConsoleOutput.
    """

    cloud: Cloud
    _no_latest: set[str] = field(default_factory=set)

    def look(self) -> ConsoleLook:
        """All such instances that are not terminated, of every environment, with their networks.

        Raises: AwsError, AwsUnclear.
        Source: EC2 DescribeVpcs, DescribeSubnets, DescribeInstances.
        """
        reading = self.cloud.reading()
        networks = {
            vpc["VpcId"]: environment
            for vpc in reading.read("ec2", "describe_vpcs", "Vpcs")
            if (environment := _tags(vpc).get(TAG_ENVIRONMENT, ""))
        }
        subnets = {
            subnet["SubnetId"]: _tags(subnet).get(TAG_ADDRESS, "")
            for subnet in reading.read("ec2", "describe_subnets", "Subnets")
            if subnet.get("VpcId") in networks
        }
        reservations = reading.read("ec2", "describe_instances", "Reservations")
        living = (
            instance
            for reservation in reservations
            for instance in reservation["Instances"]
            if instance["State"]["Name"] in LIVING
        )
        seen = (_instance(instance, networks, subnets) for instance in living)
        ours = [instance for instance in seen if instance.network or _tagged(instance)]
        return ConsoleLook(tuple(sorted(ours, key=lambda each: (each.name, each.id))), frozenset(networks.values()))

    def instances(self) -> tuple[ConsoleInstance, ...]:
        """The instances of `look`.

        Raises: AwsError, AwsUnclear.
        """
        return self.look().instances

    def output(self, instance_id: str) -> str:
        """What the instance wrote to its console; empty when there is nothing (yet).

        Raises: AwsError, AwsUnclear.
        Source: EC2 GetConsoleOutput; `Latest` is for instances on Nitro, of others AWS has what they wrote at boot.
        """
        if instance_id not in self._no_latest:
            try:
                return self._ask(instance_id, Latest=True)
            except AwsError as error:
                if error.code != "UnsupportedOperation":
                    raise
                self._no_latest.add(instance_id)
        return self._ask(instance_id)

    def _ask(self, instance_id: str, **options: Any) -> str:
        try:
            answer = self.cloud.call("ec2", "get_console_output", InstanceId=instance_id, **options)
        except AwsError as error:
            if error.not_found:
                return ""
            raise
        return str(answer.get("Output") or "")


def _tags(described: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}


def _tagged(instance: ConsoleInstance) -> bool:
    return bool(instance.name and instance.environment and instance.address.startswith("instance/"))


def _instance(described: Mapping[str, Any], networks: Mapping[str, str], subnets: Mapping[str, str]) -> ConsoleInstance:
    tags = _tags(described)
    return ConsoleInstance(
        described["InstanceId"],
        tags.get(TAG_NAME, ""),
        tags.get(TAG_ENVIRONMENT, ""),
        described["State"]["Name"],
        launched=described.get("LaunchTime"),
        private_ip=described.get("PrivateIpAddress") or "",
        public_ip=described.get("PublicIpAddress") or "",
        address=tags.get(TAG_ADDRESS, ""),
        network=networks.get(described.get("VpcId", ""), ""),
        subnet=subnets.get(described.get("SubnetId", ""), ""),
    )


def fingers(output: str, nonce: str) -> frozenset[str]:
    """The minion fingerprints that a console shows with this nonce: exactly one on an untampered machine."""
    found = (match for line in _lines(output) if (match := _FINGER.fullmatch(line)))
    return frozenset(match[1] for match in found if nonce and match[2] == nonce)


def failure(output: str) -> str:
    """The boot script's last failure line; empty when there is none, or a later attempt succeeded."""
    last = ""
    for line in _lines(output):
        if failed := _FAILED.fullmatch(line):
            last = clean(failed[1]).strip()
        elif _DONE.fullmatch(line):
            last = ""
    return last


def master_ready(output: str) -> bool:
    """Whether a master's boot script completed."""
    return "saltlick: master ready" in _lines(output)


def progress(output: str) -> tuple[str, ...]:
    """What the boot script said, without its mark, oldest first."""
    return tuple(clean(line.partition(": ")[2]) for line in _lines(output) if line.startswith("saltlick: "))


def last_lines(output: str, count: int = 8) -> tuple[str, ...]:
    """The last `count` non-empty lines of a console, without control characters."""
    lines = [clean(line).rstrip() for line in output.replace("\r", "\n").split("\n")]
    return tuple([line for line in lines if line.strip()][-count:])


def _lines(output: str) -> Iterator[str]:
    """Lines as the terminal driver ends them. A carriage return inside of a line starts no new one."""
    return (line.strip("\r").rstrip(" ") for line in output.split("\n"))
