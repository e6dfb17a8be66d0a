"""What the engine and the kinds need from outside, as protocols; `aws/` implements them, tests bring fakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Clock(Protocol):
    """A clock; tests pass a fake. Seconds; `now` is monotonic."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Reading(Protocol):
    """One observation of AWS: each describe call is sent once, with all pages, for all kinds."""

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        """All items under `key` of all pages (`read("ec2", "describe_vpcs", "Vpcs", Filters=[…])`)."""
        ...


class Cloud(Protocol):
    """The AWS API of one region. The only way in which kinds talk to AWS."""

    @property
    def region(self) -> str: ...

    @property
    def clock(self) -> Clock: ...

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        """One request (`call("ec2", "create_subnet", VpcId=…)`), throttling waited out.

        Raises: AwsUnclear when it may or may not have happened; AwsError with AWS's code otherwise.
        """
        ...

    def reading(self) -> Reading:
        """A new reading with an empty cache."""
        ...

    def patient(self, deadline_s: float) -> Cloud:
        """The same API for calls that name objects made moments ago: NotFound is retried until the deadline."""
        ...
