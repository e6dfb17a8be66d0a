"""A sandbox for the whole session, apart from any the user runs: its own name, ports, folder and outer network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from e2e.estate import bootstrap, deploy

from saltlick.sandbox import process
from saltlick.sandbox.control import Sandbox
from saltlick.sandbox.engine import why_not
from saltlick.sandbox.settings import Settings

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Up for the session, down at its end. Always the same folder, so that a killed session's is taken over and cleared."""
    if problem := why_not():
        pytest.skip(problem)
    if standing := os.environ.get(
        "SALTLICK_E2E_SANDBOX"
    ):  # for those who write tests: the sandbox of `make demo`, as it stands
        yield Sandbox(Settings(directory=Path(standing).resolve()), print, CHECKOUT)
        return
    settings = Settings(directory=CHECKOUT / ".saltlick/e2e", name="e2e", port=24566, internet="198.18.1.0/24")
    box = Sandbox(settings, print, CHECKOUT)
    # One session at a time on this machine: another checkout's tests use the same name and ports.
    with process.exclusive(Path(tempfile.gettempdir()) / "saltlick-e2e.lock", wait_s=1800):
        box.down()
        box.up()
        yield box
        box.down()


@pytest.fixture(scope="session")
def aws(sandbox: Sandbox) -> Any:
    """`aws("ec2")` is a boto3 client of the session's sandbox."""
    key = sandbox.environment()["AWS_ACCESS_KEY_ID"]
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key="sandbox", region_name="us-east-1")

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=sandbox.settings.endpoint)

    return client


@pytest.fixture(scope="session")
def built(sandbox: Sandbox) -> dict[str, Any]:
    """`test`, from nothing to the end of the first deployment: what `bootstrap` said, and the states of `deploy`."""
    if os.environ.get("SALTLICK_E2E_SANDBOX"):
        return {"bootstrap": "", "control": {}, "deploy": {}}
    said = bootstrap(sandbox)
    control = deploy(sandbox, "control")
    return {"bootstrap": said, "control": control, "deploy": deploy(sandbox)}


@pytest.fixture(scope="session")
def prod(sandbox: Sandbox, built: dict[str, Any]) -> dict[str, Any]:
    """`prod` beside `test`, by the same orchestration."""
    return deploy(sandbox, "prod")


@pytest.fixture(scope="session")
def control(sandbox: Sandbox, built: dict[str, Any]) -> dict[str, Any]:
    """The master with its own roles."""
    return dict(built["control"])
