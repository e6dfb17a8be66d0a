"""What is repeated, for how long, and what comes out as which error."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from support.clock import FakeClock

from saltlick.aws.sender import SILENT_S, THROTTLED_S, Sender
from saltlick.errors import AwsError, AwsThrottled, AwsUnclear

from .fakes import Clients, refused

URL = {"endpoint_url": "https://ec2"}
UNREACHABLE = boto.EndpointConnectionError(**URL)
TIMED_OUT = boto.ReadTimeoutError(**URL)
CUT = boto.ConnectionClosedError(**URL)


def sender(*answers: Any, **hooks: Any) -> tuple[Sender, Clients, FakeClock]:
    clients, clock = Clients(*answers), FakeClock()
    return Sender(clients, clock, **{"notify": lambda _: None, **hooks}), clients, clock


@pytest.mark.parametrize(
    "code", ["RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"]
)
@pytest.mark.parametrize("status", [400, 503])
def test_throttling_is_waited_out_and_told(code: str, status: int) -> None:
    told: list[str] = []
    send, clients, clock = sender(refused(code, status), refused(code, status), {"ok": 1}, notify=told.append)
    assert send.send("ec2", "create_vpc", {}) == {"ok": 1}
    assert len(clients.asked) == 3
    assert len(told) == 2
    assert code in told[0]
    assert clock.slept[0] > 0


def test_throttling_for_too_long_is_an_error_of_its_own() -> None:
    send, _, clock = sender(refused("RequestLimitExceeded", 503))
    with pytest.raises(AwsThrottled):
        send.send("ec2", "create_vpc", {})
    assert THROTTLED_S / 2 < clock.now() <= THROTTLED_S


@pytest.mark.parametrize(
    "lost", [TIMED_OUT, CUT, refused("InternalError", 500), refused("Unavailable", 503), ResponseParserError("<html>")]
)
def test_a_change_without_an_answer_is_never_repeated(lost: Exception) -> None:
    send, clients, _ = sender(lost, {"ok": 1})
    with pytest.raises(AwsUnclear):
        send.send("ec2", "create_vpc", {})
    assert len(clients.asked) == 1


@pytest.mark.parametrize(
    "lost", [TIMED_OUT, CUT, UNREACHABLE, refused("InternalError", 500), ResponseParserError("<html>")]
)
@pytest.mark.parametrize("operation", ["describe_vpcs", "get_role", "list_roles"])
def test_a_look_without_an_answer_is_repeated(lost: Exception, operation: str) -> None:
    send, clients, _ = sender(lost, lost, {"ok": 1})
    assert send.send("ec2", operation, {}) == {"ok": 1}
    assert len(clients.asked) == 3


def test_a_look_is_not_repeated_for_ever() -> None:
    send, _, clock = sender(TIMED_OUT)
    with pytest.raises(AwsUnclear):
        send.send("ec2", "describe_vpcs", {})
    assert clock.now() <= SILENT_S


def test_a_change_that_never_went_out_is_safe_to_repeat() -> None:
    send, clients, _ = sender(UNREACHABLE, {"ok": 1})
    assert send.send("ec2", "create_vpc", {}) == {"ok": 1}
    assert len(clients.asked) == 2


def test_a_refusal_carries_code_and_request_id_and_is_not_repeated() -> None:
    send, clients, _ = sender(refused("InvalidVpcID.NotFound", message="vpc-1 does not exist"))
    with pytest.raises(AwsError) as error:
        send.send("ec2", "delete_vpc", {"VpcId": "vpc-1"})
    assert (error.value.operation, error.value.code, error.value.request_id) == (
        "delete_vpc",
        "InvalidVpcID.NotFound",
        "req-1",
    )
    assert error.value.not_found
    assert "vpc-1 does not exist" in str(error.value)
    assert isinstance(error.value.__cause__, boto.ClientError)
    assert len(clients.asked) == 1


def test_no_capacity_is_a_refusal_although_it_comes_as_5xx() -> None:
    send, clients, _ = sender(refused("InsufficientInstanceCapacity", 500))
    with pytest.raises(AwsError) as error:
        send.send("ec2", "run_instances", {})
    assert type(error.value) is AwsError
    assert len(clients.asked) == 1


def test_missing_credentials_say_where_they_come_from() -> None:
    send, _, _ = sender(boto.NoCredentialsError())
    with pytest.raises(AwsError, match="profile"):
        send.send("ec2", "describe_vpcs", {})


def test_wrong_parameters_are_a_plain_error() -> None:
    send, _, _ = sender(boto.ParamValidationError(report="Unknown parameter"))
    with pytest.raises(AwsError, match="ParamValidationError"):
        send.send("ec2", "create_vpc", {"Nonsense": 1})


def test_every_request_that_went_out_is_counted() -> None:
    counted: list[tuple[str, str]] = []
    send, _, _ = sender(
        refused("Throttling"), {"ok": 1}, on_call=lambda service, operation, _: counted.append((service, operation))
    )
    send.send("ec2", "create_vpc", {})
    assert counted == [("ec2", "create_vpc")] * 2


def test_one_operations_throttling_slows_that_operation_only() -> None:
    send, _, clock = sender(*[refused("Throttling")] * 4, {"ok": 1})
    send.send("ec2", "create_subnet", {})
    clock.slept.clear()
    send.send("ec2", "describe_vpcs", {})
    assert clock.slept == []
    for _ in range(5):
        send.send("ec2", "create_subnet", {})
    assert clock.slept
    clock.slept.clear()
    send.send("ec2", "create_subnet", {})
    assert clock.slept == []
