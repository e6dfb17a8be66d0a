"""moto in this process, one client for all tests, and a clock without waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from support.clock import FakeClock

from saltlick.aws import connect
from saltlick.errors import AwsUnclear

from .estate import ESTATE
from .world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from saltlick.aws import AwsCloud
    from saltlick.engine.ports import Cloud, Reading

Call = tuple[str, str]


class CutOff:
    """A cloud that dies before one operation."""

    def __init__(self, cloud: Cloud, operation: str) -> None:
        self._cloud, self._operation = cloud, operation
        self.region, self.clock = cloud.region, cloud.clock

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        if operation == self._operation:
            raise AwsUnclear(operation, "Killed", "the process died here")
        return self._cloud.call(service, operation, **parameters)

    def reading(self) -> Reading:
        return self._cloud.reading()

    def patient(self, deadline_s: float) -> CutOff:
        return CutOff(self._cloud.patient(deadline_s), self._operation)


@pytest.fixture(scope="session")
def calls() -> list[Call]:
    """Every request that went out, of the running test."""
    return []


@pytest.fixture(scope="session")
def client(calls: list[Call]) -> AwsCloud:
    """Clients are slow to make; accounts are not."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        cloud = connect(
            "us-east-1", clock=FakeClock(), on_call=lambda service, operation, _: calls.append((service, operation))
        )
        with mock_aws():
            for service in ("ec2", "elbv2", "iam", "resourcegroupstaggingapi", "s3", "ssm"):
                cloud._sender.clients.of(service)
        return cloud


@pytest.fixture
def cloud(client: AwsCloud, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    """A fresh account with one image, its own: AWS's take moto a second to load."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        client.call("ec2", "register_image", Name="saltlick-test-1", RootDeviceName="/dev/xvda")
        calls.clear()
        yield client


@pytest.fixture(scope="package", autouse=True)
def _images_come_back() -> Iterator[None]:
    """moto keeps an account made without images for the next who mocks."""
    yield
    _load_images()


def _load_images() -> None:
    get_backend("ec2")[ACCOUNT]["us-east-1"].reset()


@pytest.fixture
def published(client: AwsCloud, calls: list[Call]) -> Iterator[AwsCloud]:
    """A fresh account, with the images that AWS publishes."""
    with mock_aws():
        _load_images()
        calls.clear()
        yield client


@pytest.fixture
def world(cloud: AwsCloud) -> World:
    return World(cloud, ESTATE)
