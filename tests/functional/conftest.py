"""What functional tests share: a master's folder, and a moto to talk to."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from support.salt_master import CHECKOUT, REGION, Master, empty_master

from bench import moto_server
from saltlick.demo.bus import deaf_bus

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = """
environment:
  name: {name}
  region: us-east-1
  cidr: {cidr}
  zones: [us-east-1a]
  subnets:
    public: {{cidrs: [{subnet}]}}
"""


@pytest.fixture(autouse=True, scope="session")
def _salt_logs_nothing_at_exit() -> None:
    """Salt buffers what is logged before its configuration is read, and prints it at exit."""
    try:
        from salt._logging import shutdown_temp_handler
    except ImportError:  # no Salt here, or our own state tree under its name: those tests skip by themselves
        return
    shutdown_temp_handler()


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """An AWS for the session; tests that share it use environments of their own, or `aws_reset`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with moto_server.in_this_process() as address:
        yield address


@pytest.fixture
def master(tmp_path: Path, moto: str) -> Iterator[Master]:
    """A master with two small environments, `one` and `two`, that know nothing of each other."""
    made = empty_master(tmp_path / "m", moto)
    (made.folder / "pillar" / "common").mkdir(parents=True)
    (made.folder / "pillar" / "common" / "top.sls").write_text("{{ saltenv }}:\n  '*_master':\n    - environment\n")
    made.pillar("one", SMALL.format(name="one", cidr="10.61.0.0/16", subnet="10.61.0.0/24"))
    made.pillar("two", SMALL.format(name="two", cidr="10.62.0.0/16", subnet="10.62.0.0/24"))
    with deaf_bus(made.folder / "s"):
        yield made


@pytest.fixture
def reference(tmp_path: Path, moto: str) -> Iterator[Master]:
    """A master with the reference estate's own pillar, in which nothing is marked production."""
    made = empty_master(tmp_path / "m", moto)
    shutil.copytree(CHECKOUT / "pillar", made.folder / "pillar")
    for file in (made.folder / "pillar").rglob("*.sls"):
        file.write_text(file.read_text().replace("production: true", "production: false"))
    made.write()
    with deaf_bus(made.folder / "s"):
        yield made


@pytest.fixture
def ec2(moto: str) -> Any:
    """AWS's own client, to look behind Saltlick's back."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    return session.client("ec2", endpoint_url=moto)
