"""What AWS confirms about a server: its instance, and that instance's console output.

The console is an authenticated channel: only AWS answers GetConsoleOutput, and only root on the instance writes to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from saltlick.engine.ports import Cloud
from saltlick.engine.resource import TAG_ADDRESS, TAG_ENVIRONMENT, TAG_NAME
from saltlick.errors import AwsError

LIVING = frozenset({"pending", "running", "stopping", "stopped"})

_FINGER = re.compile(r"saltlick: minion fingerprint ((?:[0-9a-f]{2}:){31}[0-9a-f]{2})(?![0-9a-f:])")
_FAILED = re.compile(r"saltlick: (FAILED: [^\r\n]*)")
_DONE = re.compile(r"saltlick: (minion started|master ready)")


@dataclass(frozen=True, slots=True)
class ConsoleInstance:
    """One tagged instance that is not terminated. `name` is its server's name."""

    id: str
    name: str
    environment: str
    state: str
    launched: datetime | None = None
    private_ip: str = ""
    public_ip: str = ""


@dataclass(frozen=True)
class Consoles:
    """The instances of a region that carry Saltlick's tags, and their consoles.

    IAM: ec2:DescribeInstances, ec2:GetConsoleOutput.
    """

    cloud: Cloud
    _no_latest: set[str] = field(default_factory=set)

    def instances(self) -> tuple[ConsoleInstance, ...]:
        """All tagged instances that are not terminated, of every environment.

        Raises: AwsError, AwsUnclear.
        Source: EC2 DescribeInstances.
        """
        filters = [{"Name": "tag-key", "Values": [TAG_ENVIRONMENT]}]
        reservations = self.cloud.reading().read("ec2", "describe_instances", "Reservations", Filters=filters)
        seen = (_instance(instance) for reservation in reservations for instance in reservation["Instances"])
        return tuple(
            sorted(
                (instance for instance in seen if instance is not None),
                key=lambda instance: (instance.name, instance.id),
            )
        )

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


def _instance(described: Mapping[str, Any]) -> ConsoleInstance | None:
    # Filters are not trusted alone: the tags in the answer decide.
    tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}
    state = described["State"]["Name"]
    ours = tags.get(TAG_ADDRESS, "").startswith("instance/") and tags.get(TAG_ENVIRONMENT) and tags.get(TAG_NAME)
    if not ours or state not in LIVING:
        return None
    return ConsoleInstance(
        described["InstanceId"],
        tags[TAG_NAME],
        tags[TAG_ENVIRONMENT],
        state,
        launched=described.get("LaunchTime"),
        private_ip=described.get("PrivateIpAddress") or "",
        public_ip=described.get("PublicIpAddress") or "",
    )


def fingers(output: str) -> frozenset[str]:
    """The minion fingerprints that a console shows: exactly one on an untampered machine."""
    return frozenset(_FINGER.findall(output))


def failure(output: str) -> str:
    """The boot script's last failure line; empty when there is none, or a later attempt succeeded."""
    failures = list(_FAILED.finditer(output))
    if not failures or any(done.start() > failures[-1].start() for done in _DONE.finditer(output)):
        return ""
    return failures[-1].group(1).strip()


def master_ready(output: str) -> bool:
    """Whether a master's boot script completed."""
    return "saltlick: master ready" in output


def last_lines(output: str, count: int = 8) -> tuple[str, ...]:
    """The last `count` non-empty lines of a console."""
    lines = [line.rstrip() for line in output.replace("\r", "\n").split("\n")]
    return tuple([line for line in lines if line.strip()][-count:])
