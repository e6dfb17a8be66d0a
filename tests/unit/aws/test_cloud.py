"""Looking once however many ask, sharing what is on the way, patience with what was just made."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.clock import FakeClock

from saltlick.aws.cloud import AwsCloud
from saltlick.aws.coalesce import Once, question
from saltlick.aws.sender import Sender
from saltlick.errors import AwsError

from .fakes import Clients, refused


def cloud(*answers: Any) -> tuple[AwsCloud, Clients, FakeClock]:
    clients, clock = Clients(*answers), FakeClock()
    return AwsCloud(Sender(clients, clock, notify=lambda _: None)), clients, clock


def test_a_reading_asks_each_question_once() -> None:
    aws, clients, _ = cloud({"Vpcs": [{"VpcId": "vpc-1"}]})
    reading = aws.reading()
    one = reading.read("ec2", "describe_vpcs", "Vpcs", Filters=[{"Name": "a", "Values": ["b"]}])
    two = reading.read("ec2", "describe_vpcs", "Vpcs", Filters=[{"Name": "a", "Values": ["b"]}])
    assert one == two == ({"VpcId": "vpc-1"},)
    assert len(clients.asked) == 1
    reading.read("ec2", "describe_vpcs", "Vpcs")
    aws.reading().read("ec2", "describe_vpcs", "Vpcs")
    assert len(clients.asked) == 3


def test_a_single_object_comes_as_the_only_item_and_nothing_as_none() -> None:
    aws, _, _ = cloud({"Role": {"RoleName": "r"}})
    assert aws.reading().read("iam", "get_role", "Role") == ({"RoleName": "r"},)
    assert aws.reading().read("iam", "get_role", "Other") == ()


def test_a_failed_look_fails_for_all_who_asked() -> None:
    aws, clients, _ = cloud(refused("UnauthorizedOperation", 403))
    reading = aws.reading()
    for _ in range(2):
        with pytest.raises(AwsError, match="UnauthorizedOperation"):
            reading.read("ec2", "describe_vpcs", "Vpcs")
    assert len(clients.asked) == 1


@pytest.mark.parametrize("keep", [True, False])
def test_who_asks_the_same_meanwhile_waits_for_the_one_answer(keep: bool) -> None:
    once: Once[int] = Once(keep=keep)
    go, asked = threading.Event(), []

    def ask() -> int:
        asked.append(1)
        go.wait(5)
        return 42

    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(once.get, "q", ask) for _ in range(10)]
        go.set()
        assert [answer.result() for answer in answers] == [42] * 10
    if keep:
        assert asked == [1]


def test_what_is_shared_on_the_way_is_not_remembered() -> None:
    aws, clients, _ = cloud({"n": 1}, {"n": 2})
    assert aws.call("ec2", "describe_instances") == {"n": 1}
    assert aws.call("ec2", "describe_instances") == {"n": 2}
    assert len(clients.asked) == 2


def test_a_question_is_the_same_in_any_order() -> None:
    assert question("s", "o", {"a": 1, "b": [2]}) == question("s", "o", {"b": [2], "a": 1})
    assert question("s", "o", {"a": 1}) != question("s", "o", {"a": 2})


def test_patience_waits_for_what_was_just_made() -> None:
    missing = refused("InvalidSubnetID.NotFound")
    aws, clients, clock = cloud(missing, missing, {"ok": 1})
    assert aws.patient(60).call("ec2", "create_nat_gateway") == {"ok": 1}
    assert len(clients.asked) == 3
    assert clock.now() > 0


def test_patience_ends() -> None:
    aws, _, clock = cloud(refused("InvalidSubnetID.NotFound"))
    with pytest.raises(AwsError):
        aws.patient(30).call("ec2", "create_nat_gateway")
    assert 10 < clock.now() <= 30


def test_without_patience_not_found_is_told_at_once() -> None:
    aws, clients, _ = cloud(refused("InvalidSubnetID.NotFound"), {"ok": 1})
    with pytest.raises(AwsError):
        aws.call("ec2", "create_nat_gateway")
    assert len(clients.asked) == 1
