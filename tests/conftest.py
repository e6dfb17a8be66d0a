"""What every part of the suite shares: where the checkout is, and what becomes of tests that need an engine."""

from __future__ import annotations

import logging
import os
import signal
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
IN_CONTAINERS = {"host", "sandbox", "server"}
"""Fixtures that are a container, or are inside one: of tests/e2e and tests/formulas."""


# A shell that starts the suite in the background has it ignore Ctrl-C, and every salt-run that a test interrupts would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top of the checkout."""
    return CHECKOUT


@pytest.fixture(scope="session")
def cloud_custodian() -> Path:
    """Cloud Custodian's command, installed by the first test that needs it: 95 MB, about 20 s.

    The lock serves runs of several parts side by side.
    """
    from saltlick.offhours import custodian
    from saltlick.sandbox.process import exclusive

    with exclusive(custodian.BESIDE.with_name("custodian.lock")):
        return custodian.install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an engine by name where there is none; refuse to under CI=true."""
    for item in items:
        if CHECKOUT / "tests" / "e2e" in item.path.parents or IN_CONTAINERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("e2e")
    needing = [item for item in items if item.get_closest_marker("e2e")]
    missing = _missing_engine() if needing else ""
    if missing and os.environ.get("CI") == "true":
        raise pytest.UsageError(
            f"{len(needing)} tests need a container engine: {missing} (CI=true: nothing is skipped)"
        )
    if missing:
        for item in needing:
            item.add_marker(pytest.mark.skip(reason=f"no container engine: {missing}"))


@cache
def _missing_engine() -> str:
    """Why no container engine can be used, empty when one answers."""
    if why := os.environ.get("SALTLICK_NO_ENGINE"):  # set by tools/test.sh where none can run
        return why
    try:
        import docker
    except ImportError:
        return "the docker SDK is not installed (pip install 'saltlick[sandbox]')"
    try:
        docker.from_env(timeout=10).ping()
    except docker.errors.DockerException as error:
        return str(error).splitlines()[0]
    return ""


def pytest_unconfigure() -> None:
    """Salt's loggers flush what they kept at the very end, when pytest has closed what they write to."""
    logging.raiseExceptions = False
