"""Whose servers AWS says they are: by their own tags, and by those of the network they are in."""

from __future__ import annotations

from saltlick.engine.ports import Cloud
from saltlick.engine.resource import TAG_ENVIRONMENT, TAG_NAME
from saltlick.refresh.guard import ShownInstance

RUNNING = "running"


def instances(cloud: Cloud) -> tuple[ShownInstance, ...]:
    """All running instances of the region that have a name, whoever's they are.

    Raises: AwsError, AwsUnclear.
    Source: EC2 DescribeInstances, DescribeVpcs.
    IAM: ec2:DescribeInstances, ec2:DescribeVpcs.
    """
    reading = cloud.reading()
    networks = {vpc["VpcId"]: _tag(vpc, TAG_ENVIRONMENT) for vpc in reading.read("ec2", "describe_vpcs", "Vpcs")}
    reservations = reading.read("ec2", "describe_instances", "Reservations")
    return tuple(
        ShownInstance(
            id=instance["InstanceId"],
            name=_tag(instance, TAG_NAME),
            environment=_tag(instance, TAG_ENVIRONMENT),
            vpc_environment=networks.get(instance.get("VpcId", ""), ""),
            address=instance.get("PrivateIpAddress", ""),
        )
        for reservation in reservations
        for instance in reservation["Instances"]
        if instance["State"]["Name"] == RUNNING and _tag(instance, TAG_NAME)
    )


def _tag(item: object, key: str) -> str:
    tags = item.get("Tags", ()) if isinstance(item, dict) else ()
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == key), "")
