"""The IAM actions a kind declares are the calls it makes; the policy they add up to suffices, and is needed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count
from support.clock import FakeClock

from saltlick.aws import connect
from saltlick.errors import AwsError
from saltlick.kinds import KINDS
from saltlick.kinds.iam_policy import BEYOND_KINDS, policy
from saltlick.kinds.load_balancer import ASKED_BY_ELB

from .conftest import Call
from .estate import BY_ADDRESS, CHANGES, ESTATE
from .world import World, having

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


IMPLIED = {
    "ec2:CreateTags",
    "elasticloadbalancing:AddTags",
    "iam:TagRole",
    "iam:TagInstanceProfile",
    "iam:PassRole",
    "iam:CreateServiceLinkedRole",
    *ASKED_BY_ELB,
}
"""Checked by AWS within calls of other names."""
RARE = {
    ("route", "ec2:ReplaceRoute"),
    ("route", "ec2:DescribeRouteTables"),
    ("route_table_association", "ec2:ReplaceRouteTableAssociation"),
    ("route_table_association", "ec2:DescribeRouteTables"),
    ("instance", "ec2:ReplaceIamInstanceProfileAssociation"),
    ("peering", "ec2:DescribeVpcPeeringConnections"),
    ("nat_gateway", "ec2:DescribeNatGateways"),
    ("load_balancer", "elasticloadbalancing:DescribeLoadBalancers"),
    ("instance", "ec2:DescribeInstances"),
    ("bucket", "s3:GetBucketVersioning"),
    ("bucket", "s3:ListBucketVersions"),
}
"""Made only while something is in the way or slow; other tests see them."""
SERVICES = {"elbv2": "elasticloadbalancing", "resourcegroupstaggingapi": "tag"}
ACTIONS = {
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
}
"""Calls whose action has another name. Source: S3 User Guide, "Required permissions for Amazon S3 API operations"."""
MOTO_CALLS_IT = {
    "tag:GetResources": "tagging:GetResources",
    "s3:GetBucketPublicAccessBlock": "s3:ListBucket",
    "s3:PutBucketPublicAccessBlock": "s3:CreateBucket",
}
"""Actions that moto judges under a name of its own."""


def actions(calls: list[Call]) -> set[str]:
    """The IAM actions behind the calls made since the last look."""
    names = {
        f"{SERVICES.get(service, service)}:{''.join(word.title() for word in operation.split('_'))}"
        for service, operation in calls
    }
    calls.clear()
    return {ACTIONS.get(name, name) for name in names}


@pytest.mark.parametrize("address", CHANGES)
def test_declared_actions_are_those_that_are_needed(world: World, calls: list[Call], address: str) -> None:
    resource = BY_ADDRESS[address]
    kind = KINDS[resource.kind]
    for needed in world.needs(resource):
        if needed.key not in world.made:
            world.make(needed)
    called: dict[str, set[str]] = {}

    def watch(verb: str, act: Callable[..., object], *arguments: Any) -> None:
        actions(calls)
        act(*arguments)
        called.setdefault(verb, set()).update(actions(calls))

    watch("create", world.make, resource)
    watch("observe", world.see, resource)
    for change in CHANGES[address]:
        changed = having(resource, **change)
        for needed in world.needs(changed):
            if needed.key not in world.made:
                world.make(needed)
        observed, wanted = world.require(resource), world.wanted(changed)
        watch("update", kind.update, world.cloud, wanted, observed, frozenset({*change, "tags"}))
    watch("destroy", kind.destroy, world.cloud, world.require(resource), 30)

    for verb, found in called.items():
        assert found <= set(kind.iam[verb]), verb
    if address == "elastic_ip/nat":
        return  # the poorer of two
    rare = {action for name, action in RARE if name == kind.name}
    for verb in ("observe", "create", "destroy"):
        assert set(kind.iam[verb]) - IMPLIED - rare <= called[verb], verb


ALL = [resource for resource in ESTATE if resource.key.address != "internet_gateway/other"]


def build_and_destroy(allowed: Collection[str]) -> None:
    """Everything, made and destroyed by a user with exactly these actions; moto cannot judge conditions."""
    by_moto = [MOTO_CALLS_IT.get(action, action) for action in allowed]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": by_moto, "Resource": "*"}]}

    @set_initial_no_auth_action_count(4)
    def run() -> None:
        owner = connect("us-east-1", clock=FakeClock())
        owner.call("iam", "create_user", UserName="saltlick")
        owner.call("iam", "put_user_policy", UserName="saltlick", PolicyName="p", PolicyDocument=json.dumps(document))
        owner.call("ec2", "register_image", Name="saltlick-test-1", RootDeviceName="/dev/xvda")
        key = owner.call("iam", "create_access_key", UserName="saltlick")["AccessKey"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            go(World(connect("us-east-1", clock=FakeClock()), ALL))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        with mock_aws():
            run()


def go(world: World) -> None:
    for resource in ALL:
        if resource.key not in world.made:
            world.make(resource)
    for key in list(reversed(world.made)):
        resource = world.estate[key]
        if not KINDS[resource.kind].lookup:
            world.destroy(resource)


def every_action() -> set[str]:
    return {action for statement in whole() for action in statement["Action"]}


def whole() -> list[dict[str, Any]]:
    """What is allowed at most."""
    return [each for each in policy(roles=True, buckets=("*",))["Statement"] if each["Effect"] == "Allow"]


def test_the_policy_suffices() -> None:
    build_and_destroy(every_action() - {"ec2:GetConsoleOutput"})


@pytest.mark.parametrize(
    "action",
    [
        "ec2:DescribeRouteTables",
        "ec2:CreateNatGateway",
        "ec2:DeleteVpc",
        "elasticloadbalancing:RegisterTargets",
        "iam:PutRolePolicy",
        "iam:DeleteInstanceProfile",
        "s3:PutLifecycleConfiguration",
        "s3:DeleteBucket",
    ],
)
def test_without_one_of_its_actions_it_does_not(action: str) -> None:
    with pytest.raises(AwsError) as refused:
        build_and_destroy(every_action() - {action})
    assert refused.value.code in {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}


def test_a_policy_of_some_kinds_is_of_those_only() -> None:
    some = policy({"vpc": KINDS["vpc"]}, roles=True)
    assert {a for s in some["Statement"] if s["Effect"] == "Allow" for a in s["Action"]} == {
        *(action for wanted in KINDS["vpc"].iam.values() for action in wanted),
        *BEYOND_KINDS,
    }


def test_nothing_in_a_bucket_can_be_read_written_or_deleted_and_buckets_of_others_not_changed() -> None:
    assert not {action for action in every_action() if action.startswith("s3:") and "Object" in action}
    bound = {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}
    for statement in whole():
        changing = {a for a in statement["Action"] if a.startswith(("s3:Put", "s3:Delete"))}
        assert not changing or statement.get("Condition") == bound


@mock_aws
def test_a_role_lives_at_our_path_under_its_boundary() -> None:
    """By which the master's policy knows it: no other role can be passed to a server or be changed."""
    boundary = "arn:aws:iam::123456789012:policy/saltlick/boundary"
    cloud = connect("us-east-1", clock=FakeClock())
    role = having(BY_ADDRESS["iam_role/app"], boundary=boundary)
    profile = BY_ADDRESS["instance_profile/app"]
    world = World(cloud, [role, profile])
    world.make(role)
    world.make(profile)
    name = cloud.call("iam", "get_role", RoleName="prod-app")["Role"]
    assert name["Arn"] == "arn:aws:iam::123456789012:role/saltlick/prod-app"
    assert name["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    [attached] = cloud.call("iam", "list_instance_profiles", PathPrefix="/saltlick/")["InstanceProfiles"]
    assert attached["InstanceProfileName"] == "prod-app"
