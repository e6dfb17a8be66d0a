"""`night` may be switched off, `live` is production: both built in moto, and a master that knows both."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml
from support.offhours_estate import ENVIRONMENT, HOURS, NETS, US, instances
from support.salt_master import CHECKOUT

from saltlick.aws import connect
from saltlick.environment import provision
from saltlick.environment.pillar import Boot, expand_environment, parse_environment
from saltlick.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def aws(moto: str) -> Any:
    """`aws("ec2")` is a client of AWS's own."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=US)
    return lambda service: session.client(service, endpoint_url=moto)


@pytest.fixture(scope="session")
def estate(moto: str) -> None:
    """`night` and `live`, built alike by Saltlick itself, once for the session."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {"AWS_ENDPOINT_URL": moto, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
            patch.setenv(key, value)
        for name, net in NETS.items():
            raw = yaml.safe_load(ENVIRONMENT.format(name=name, production="false", net=net))
            declared = parse_environment(raw, environment=name)
            resources = expand_environment(declared, {}, Boot(master_finger="00:11"))
            built = provision.Estate(environments=(name,), region=US, resources=resources)
            cloud = connect(US)
            assert not provision.apply(provision.plan(built, cloud, KINDS), cloud, KINDS).failed


@pytest.fixture
def master(master, cloud_custodian, estate, aws) -> Iterator[Any]:
    """A master that knows both, `live` as production; all servers run, and nothing is remembered."""
    (master.folder / "pillar/common/top.sls").write_text("{{ saltenv }}:\n  '*_master': [environment, offhours]\n")
    (master.folder / "pillar/common/offhours.sls").write_text(HOURS)
    (master.folder / "srv/orch").symlink_to(CHECKOUT / "orch")
    for name, net in NETS.items():
        production = str(name == "live").lower()
        master.pillar(name, ENVIRONMENT.format(name=name, production=production, net=net))
    ids = [one["InstanceId"] for one in instances(aws)]
    aws("ec2").start_instances(InstanceIds=ids)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {**master.environ, "PATH": f"{cloud_custodian.parent}:{os.environ['PATH']}"}.items():
            patch.setenv(key, value)
        yield master
    aws("ec2").delete_tags(Resources=ids, Tags=[{"Key": "saltlick_offhours"}])
