"""A server. Always: IMDSv2 with hop limit 1, an encrypted root volume that goes with it, user data instead of logins.

AWS takes 15 to 40 s until it runs; a terminated one stays listed for an hour and does not count, a stopped one does. A hash
of the user data is kept in the tag `saltlick:user-data`: reading the text back takes a call for each server. A changed image
or user data is shown as drift, since only a new server can have it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import (
    Attributes,
    Key,
    Kind,
    Observed,
    Properties,
    Scope,
    Text,
    Wanted,
    immutable,
    mutable,
    noted,
)
from saltlick.engine.wait import until
from saltlick.errors import AwsError
from saltlick.kinds import retry, tags

TAG_USER_DATA = "saltlick:user-data"
GONE = frozenset({"shutting-down", "terminated"})
DEFAULT_VOLUME_GB = 20
PROFILE_S = 60.0
"""How long EC2 may take to hear of a profile that IAM has just made; until then it calls it an invalid parameter."""


@dataclass(frozen=True, kw_only=True)
class InstanceProperties(Properties):
    image: Text = noted("The image's id.")
    type: str = immutable("The instance type: `t3.small`.")
    subnet: Text = immutable("The subnet's id.")
    security_groups: tuple[Text, ...] = mutable("The ids of its security groups.")
    user_data: Text | None = noted("The script it runs at first boot, 16 KiB at most.", default=None)
    profile: Text | None = mutable("Its instance profile: name or ARN.", default=None)
    key_pair: Text | None = immutable("The name of a key pair, for those who must.", default=None)
    private_ip: str | None = immutable("Its address in the subnet. Unset: AWS picks one.", default=None)
    root_device: Text | None = noted("The image's root device: `/dev/xvda`.", default=None)
    volume_gb: int | None = noted(f"Size of the root volume. Unset: {DEFAULT_VOLUME_GB}.", default=None)
    public_ip: bool = noted("Whether it gets a public address, regardless of its subnet.", default=False)


class Instance(Kind):
    """Source: EC2 RunInstances, DescribeInstances, ModifyInstanceAttribute, TerminateInstances."""

    name = "instance"
    properties = InstanceProperties
    attributes = frozenset({"id", "private_ip", "public_ip"})
    iam: ClassVar = {
        "observe": ("ec2:DescribeInstances",),
        "create": ("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole", "ec2:DescribeInstances"),
        "update": (
            "ec2:ModifyInstanceAttribute",
            "ec2:DescribeIamInstanceProfileAssociations",
            "ec2:AssociateIamInstanceProfile",
            "ec2:ReplaceIamInstanceProfileAssociation",
            "iam:PassRole",
            "ec2:CreateTags",
            "ec2:DescribeInstances",
        ),
        "destroy": ("ec2:TerminateInstances", "ec2:DescribeInstances"),
    }
    settles = True

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for key, object_tags, instance in live_instances(reading, scope):
            groups = _groups(instance)
            profile = _profile_name(instance.get("IamInstanceProfile", {}).get("Arn"))
            used = {instance["SubnetId"], profile, instance.get("KeyName"), *groups}
            yield Observed(
                key=key,
                properties={
                    "image": instance["ImageId"],
                    "type": instance["InstanceType"],
                    "subnet": instance["SubnetId"],
                    "security_groups": groups,
                    "user_data": object_tags.get(TAG_USER_DATA),
                    "profile": profile,
                    "key_pair": instance.get("KeyName"),
                    "private_ip": instance["PrivateIpAddress"],
                },
                attributes=_attributes(instance),
                references=frozenset(name for name in used if name),
                tags=object_tags,
                pending=instance["State"]["Name"] == "pending",
            )

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        """Waits while EC2 has not heard of the profile yet, or a predecessor still holds the private address."""
        profile = wanted.properties.profile
        answer = retry.call_when_free(
            cloud,
            min(PROFILE_S, wanted.deadline_s) if profile else wanted.deadline_s,
            {"InvalidIPAddress.InUse", *(("InvalidParameterValue",) if profile else ())},
            "ec2",
            "run_instances",
            **_parameters(wanted),
        )
        return _attributes(answer["Instances"][0])

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "security_groups" in fields:
            groups = list(wanted.properties.security_groups)
            cloud.call("ec2", "modify_instance_attribute", InstanceId=observed.id, Groups=groups)
        if "profile" in fields:
            _put_profile(cloud, observed.id, _profile_name(wanted.properties.profile))
        if "tags" in fields:
            tags.write(cloud, observed.id, wanted.tags)
        return observed.attributes

    def settle(self, cloud: Cloud, attributes: Attributes, deadline_s: float) -> Attributes:
        """Wait until it runs. Raises: AwsError with AWS's reason when it went down instead; WaitTimeout."""
        instance = until(
            lambda: _look(cloud, attributes),
            lambda seen: seen.get("State", {}).get("Name", "pending") != "pending",
            what=f"instance {attributes['id']} running",
            describe=lambda seen: str(seen.get("State", {}).get("Name", "not shown")),
            deadline_s=deadline_s,
            clock=cloud.clock,
        )
        if instance["State"]["Name"] in GONE:
            reason = instance.get("StateReason", {})
            code, message = reason.get("Code", instance["State"]["Name"]), reason.get("Message", "")
            raise AwsError(f"instance {attributes['id']}", code, message)
        return _attributes(instance)

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Waits until it is terminated: before that it holds its subnet, its security groups and its addresses."""
        retry.delete(cloud, deadline_s, "ec2", "terminate_instances", InstanceIds=[observed.id])
        until(
            lambda: _look(cloud, observed.attributes).get("State", {}).get("Name", "terminated"),
            lambda state: state == "terminated",
            what=f"instance {observed.id} terminated",
            deadline_s=deadline_s,
            clock=cloud.clock,
        )

    def normalise(self, field_name: str, value: Any) -> Any:
        if field_name == "security_groups":
            return tuple(sorted(value))
        if field_name == "user_data":
            return _hash(value)
        return _profile_name(value) if field_name == "profile" else value


def live_instances(reading: Reading, scope: Scope) -> Iterator[tuple[Key, dict[str, str], tags.Item]]:
    """The scope's instances that are there or coming, stopped ones included."""
    reservations = reading.read("ec2", "describe_instances", "Reservations", Filters=tags.ours(scope))
    instances = (instance for reservation in reservations for instance in reservation["Instances"])
    alive = (instance for instance in instances if instance["State"]["Name"] not in GONE)
    return tags.found(alive, scope, Instance.name)


def _parameters(wanted: Wanted) -> dict[str, Any]:
    properties = wanted.properties
    user_data = {TAG_USER_DATA: _hash(properties.user_data)} if properties.user_data is not None else {}
    given = {
        "UserData": properties.user_data,
        "KeyName": properties.key_pair,
        "IamInstanceProfile": _profile(properties.profile),
        "BlockDeviceMappings": _root_volume(properties),
    }
    return {
        "ImageId": properties.image,
        "InstanceType": properties.type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": wanted.token,
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "TagSpecifications": [
            *tags.in_create("instance", {**wanted.tags, **user_data}),
            *tags.in_create("volume", wanted.tags),
            *tags.in_create("network-interface", wanted.tags),
        ],
        **_network(properties),
        **{name: value for name, value in given.items() if value is not None},
    }


def _network(properties: Any) -> dict[str, Any]:
    """A public address on top of what the subnet gives can only be asked for on a network interface."""
    address = {"PrivateIpAddress": properties.private_ip} if properties.private_ip else {}
    groups = list(properties.security_groups)
    if not properties.public_ip:
        return {"SubnetId": properties.subnet, "SecurityGroupIds": groups, **address}
    interface = {
        "DeviceIndex": 0,
        "SubnetId": properties.subnet,
        "Groups": groups,
        "AssociatePublicIpAddress": True,
        **address,
    }
    return {"NetworkInterfaces": [interface]}


def _root_volume(properties: Any) -> list[dict[str, Any]] | None:
    if properties.root_device is None:
        return None
    volume = {
        "VolumeSize": properties.volume_gb or DEFAULT_VOLUME_GB,
        "VolumeType": "gp3",
        "Encrypted": True,
        "DeleteOnTermination": True,
    }
    return [{"DeviceName": properties.root_device, "Ebs": volume}]


def _put_profile(cloud: Cloud, instance_id: str, profile_name: str | None) -> None:
    by_instance = [{"Name": "instance-id", "Values": [instance_id]}]
    answer = cloud.call("ec2", "describe_iam_instance_profile_associations", Filters=by_instance)
    profile = {"Name": profile_name}
    standing = [a for a in answer["IamInstanceProfileAssociations"] if a["State"] in {"associated", "associating"}]
    if standing:
        association = standing[0]["AssociationId"]
        cloud.call(
            "ec2",
            "replace_iam_instance_profile_association",
            AssociationId=association,
            IamInstanceProfile=profile,
        )
    else:
        cloud.call("ec2", "associate_iam_instance_profile", InstanceId=instance_id, IamInstanceProfile=profile)


def _look(cloud: Cloud, attributes: Attributes) -> tags.Item:
    """The instance as it is now, {} while AWS does not show it.

    Asks for its whole VPC, so that servers which are waited for at the same time share the call.
    """
    in_vpc = [{"Name": "vpc-id", "Values": [attributes["vpc"]]}]
    answer = cloud.call("ec2", "describe_instances", Filters=in_vpc)
    if answer.get("NextToken"):  # a page is enough for nearly every VPC
        answer = cloud.call("ec2", "describe_instances", InstanceIds=[attributes["id"]])
    instances = (instance for reservation in answer["Reservations"] for instance in reservation["Instances"])
    return next((instance for instance in instances if instance["InstanceId"] == attributes["id"]), {})


def _attributes(instance: tags.Item) -> dict[str, str]:
    public = instance.get("PublicIpAddress")
    return {
        "id": instance["InstanceId"],
        "vpc": instance["VpcId"],
        "private_ip": instance["PrivateIpAddress"],
        **({"public_ip": public} if public else {}),
    }


def _groups(instance: tags.Item) -> tuple[str, ...]:
    """From the instance, or from its first network interface where only that tells them."""
    interfaces: list[Mapping[str, Any]] = instance.get("NetworkInterfaces") or [{}]
    groups = instance.get("SecurityGroups") or interfaces[0].get("Groups", ())
    return tuple(sorted(group["GroupId"] for group in groups))


def _profile(name_or_arn: str | None) -> dict[str, str] | None:
    name = _profile_name(name_or_arn)
    return {"Name": name} if name else None


def _profile_name(name_or_arn: str | None) -> str | None:
    return name_or_arn.rpartition("/")[2] if name_or_arn else None


def _hash(user_data: str) -> str:
    return hashlib.sha256(user_data.encode()).hexdigest()[:16]
