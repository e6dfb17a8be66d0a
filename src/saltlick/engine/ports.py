"""What the engine and the kinds need from outside, as protocols; `aws/` implements them, tests bring fakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Clock(Protocol):
    """Time, so that tests need none of it. Seconds; `now` is monotonic."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Reading(Protocol):
    """One look at AWS: each describe call is made once however many kinds ask for it, whole (all pages)."""

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        """All items under `key` of all pages (`read("ec2", "describe_vpcs", "Vpcs", Filters=[…])`)."""
        ...


class Cloud(Protocol):
    """The AWS API of one region. The only way in which kinds talk to AWS."""

    region: str
    clock: Clock

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        """One request (`call("ec2", "create_subnet", VpcId=…)`), throttling waited out.

        Raises: AwsUnclear when it may or may not have happened; AwsError with AWS's code otherwise.
        """
        ...

    def reading(self) -> Reading:
        """A fresh look: nothing remembered from earlier."""
        ...

    def patient(self, deadline_s: float) -> Cloud:
        """The same API for calls that name objects made moments ago: NotFound is retried until the deadline."""
        ...
