"""What a master may do on AWS, call by call, judged by the printed policy; and what nobody gets out of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.iam_evaluator import ACCOUNT, NEW, OURS, Call, allows, call, ec2, iam

from saltlick.kinds import KINDS
from saltlick.kinds.iam_policy import BEYOND_KINDS, actions, policy

THEIRS: dict[str, str] = {}
OUR_ROLE, OUR_PROFILE = iam("role/saltlick/prod-app"), iam("instance-profile/saltlick/prod-app")
ITSELF, ADMIN = iam("role/saltlick/salt-master"), iam("role/admin")
BOUND = {"iam:PermissionsBoundary": iam("policy/saltlick/boundary")}
LOOSE = {"iam:PermissionsBoundary": iam("policy/AdministratorAccess")}
TO_EC2 = {"iam:PassedToService": "ec2.amazonaws.com"}
BALANCER = f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:loadbalancer/app/www/1"
GROUP = f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:targetgroup/www/1"
LISTENER = f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:listener/app/www/1/2"
BUCKET = "arn:aws:s3:::acme-backups"
HERE = {"aws:ResourceAccount": ACCOUNT}
SECRET = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/prod/password"
ELB_ROLE = iam("role/aws-service-role/elasticloadbalancing.amazonaws.com/AWSServiceRoleForElasticLoadBalancing")


def launch(**places: dict[str, str]) -> Call:
    made: dict[str, dict[str, str]] = dict.fromkeys(("instance", "volume", "network-interface"), NEW)
    within = dict.fromkeys(("subnet", "security-group"), OURS)
    touched = {**made, **within, "image": THEIRS, "key-pair": THEIRS} | {
        kind.replace("_", "-"): context for kind, context in places.items()
    }
    return call("ec2:RunInstances", *((ec2(kind), context) for kind, context in touched.items()))


def on(action: str, kind: str, context: dict[str, str]) -> Call:
    return call(action, (ec2(kind), context))


ALLOWED = {
    "look at anything": call("ec2:DescribeInstances", ("*", {})),
    "a server in our network": launch(),
    "a network": on("ec2:CreateVpc", "vpc", NEW),
    "a subnet in our network": call("ec2:CreateSubnet", (ec2("subnet"), NEW), (ec2("vpc"), OURS)),
    "a gateway with our address": call(
        "ec2:CreateNatGateway", (ec2("natgateway"), NEW), (ec2("subnet"), OURS), (ec2("elastic-ip"), OURS)
    ),
    "a peering of our networks": call(
        "ec2:CreateVpcPeeringConnection", (ec2("vpc-peering-connection"), NEW), (ec2("vpc"), OURS)
    ),
    "a tag in the call that makes it": on("ec2:CreateTags", "vpc", {"ec2:CreateAction": "CreateVpc"}),
    "another tag on ours": on("ec2:CreateTags", "vpc", OURS),
    "firewall rules of ours": call(
        "ec2:AuthorizeSecurityGroupIngress", (ec2("security-group"), OURS), (ec2("security-group-rule"), NEW)
    ),
    "a rule by hand out of ours": call(
        "ec2:RevokeSecurityGroupIngress", (ec2("security-group"), OURS), (ec2("security-group-rule"), THEIRS)
    ),
    "firewall groups of our server": call(
        "ec2:ModifyInstanceAttribute", (ec2("instance"), OURS), (ec2("security-group"), OURS)
    ),
    "our address to our server": call("ec2:AssociateAddress", (ec2("elastic-ip"), OURS), (ec2("instance"), OURS)),
    "our server's end": on("ec2:TerminateInstances", "instance", OURS),
    "our server's console": on("ec2:GetConsoleOutput", "instance", OURS),
    "a balancer": call("elasticloadbalancing:CreateLoadBalancer", (BALANCER, NEW)),
    "a listener on ours": call("elasticloadbalancing:CreateListener", (BALANCER, {**OURS, **NEW})),
    "a balancer's first tags": call(
        "elasticloadbalancing:AddTags", (BALANCER, {"elasticloadbalancing:CreateAction": "CreateLoadBalancer"})
    ),
    "targets of ours": call("elasticloadbalancing:RegisterTargets", (GROUP, OURS)),
    "public images by parameter": call(
        "ssm:GetParameters", ("arn:aws:ssm:eu-west-1::parameter/aws/service/debian/latest", {})
    ),
}

WITH_ROLES = {
    "a bounded role at our path": call("iam:CreateRole", (OUR_ROLE, {**NEW, **BOUND})),
    "its policy": call("iam:PutRolePolicy", (OUR_ROLE, {**OURS, **BOUND})),
    "its end": call("iam:DeleteRole", (OUR_ROLE, OURS)),
    "a profile": call("iam:CreateInstanceProfile", (OUR_PROFILE, NEW)),
    "the role into it": call("iam:AddRoleToInstanceProfile", (OUR_PROFILE, OURS)),
    "the role to a server": call("iam:PassRole", (OUR_ROLE, TO_EC2)),
    "the balancers' own role": call(
        "iam:CreateServiceLinkedRole", (ELB_ROLE, {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"})
    ),
}

FORBIDDEN = {
    # Administrator in one call, on a role of any kind
    "a policy on a role of others": call("iam:PutRolePolicy", (ADMIN, {**OURS, **BOUND})),
    "a policy on a role that somebody tagged as ours": call("iam:PutRolePolicy", (ADMIN, OURS)),
    "a policy on its own role": call("iam:PutRolePolicy", (ITSELF, {**OURS, **BOUND})),
    "a policy on an unbounded role of ours": call("iam:PutRolePolicy", (OUR_ROLE, OURS)),
    "a policy on a role with a looser boundary": call("iam:PutRolePolicy", (OUR_ROLE, {**OURS, **LOOSE})),
    "a managed policy onto our role": call("iam:AttachRolePolicy", (OUR_ROLE, {**OURS, **BOUND})),
    "a managed policy onto itself": call("iam:AttachRolePolicy", (ITSELF, OURS)),
    "who may take on our role": call("iam:UpdateAssumeRolePolicy", (OUR_ROLE, {**OURS, **BOUND})),
    "an unbounded role": call("iam:CreateRole", (OUR_ROLE, NEW)),
    "a role with a looser boundary": call("iam:CreateRole", (OUR_ROLE, {**NEW, **LOOSE})),
    "a role elsewhere": call("iam:CreateRole", (iam("role/other"), {**NEW, **BOUND})),
    "a role without our tag": call("iam:CreateRole", (OUR_ROLE, BOUND)),
    "the boundary away": call("iam:DeleteRolePermissionsBoundary", (OUR_ROLE, {**OURS, **BOUND})),
    "another boundary": call("iam:PutRolePermissionsBoundary", (OUR_ROLE, {**OURS, **LOOSE})),
    "a new version of the boundary": call("iam:CreatePolicyVersion", (iam("policy/saltlick/boundary"), OURS)),
    "an older version of the boundary": call("iam:SetDefaultPolicyVersion", (iam("policy/saltlick/boundary"), OURS)),
    "a tag on a role of others": call("iam:TagRole", (ADMIN, NEW)),
    "a tag on its own role": call("iam:TagRole", (ITSELF, NEW)),
    "any role to a server": call("iam:PassRole", (ADMIN, TO_EC2)),
    "its own role to a server": call("iam:PassRole", (ITSELF, TO_EC2)),
    "our role to another service": call("iam:PassRole", (OUR_ROLE, {"iam:PassedToService": "lambda.amazonaws.com"})),
    "our role to nobody in particular": call("iam:PassRole", (OUR_ROLE, {})),
    "a role into a profile of others": call("iam:AddRoleToInstanceProfile", (iam("instance-profile/x"), OURS)),
    "a role into its own profile": call(
        "iam:AddRoleToInstanceProfile", (iam("instance-profile/saltlick/salt-master"), OURS)
    ),
    "a user's key": call("iam:CreateAccessKey", (iam("user/ann"), {})),
    "a user's policy": call("iam:PutUserPolicy", (iam("user/ann"), {})),
    "another service's role": call(
        "iam:CreateServiceLinkedRole", (ELB_ROLE, {"iam:AWSServiceName": "x.amazonaws.com"})
    ),
    # Servers and firewalls of others
    "a server's user data of others": on("ec2:ModifyInstanceAttribute", "instance", THEIRS),
    "a group of others onto our server": call(
        "ec2:ModifyInstanceAttribute", (ec2("instance"), OURS), (ec2("security-group"), THEIRS)
    ),
    "a firewall of others, opened": call(
        "ec2:AuthorizeSecurityGroupIngress", (ec2("security-group"), THEIRS), (ec2("security-group-rule"), NEW)
    ),
    "a firewall of others, closed": on("ec2:RevokeSecurityGroupIngress", "security-group", THEIRS),
    "a profile onto a server of others": on("ec2:AssociateIamInstanceProfile", "instance", THEIRS),
    "another profile onto a server of others": on("ec2:ReplaceIamInstanceProfileAssociation", "instance", THEIRS),
    "a server of others, ended": on("ec2:TerminateInstances", "instance", THEIRS),
    "a server of others, stopped": on("ec2:StopInstances", "instance", THEIRS),
    "a console of others": on("ec2:GetConsoleOutput", "instance", THEIRS),
    "a server in a subnet of others": launch(subnet=THEIRS),
    "a server in a firewall group of others": launch(security_group=THEIRS),
    "a server without our tag": launch(instance=THEIRS),
    "a server with a network interface of others": launch(network_interface=THEIRS),
    # Networks of others
    "a subnet in a network of others": call("ec2:CreateSubnet", (ec2("subnet"), NEW), (ec2("vpc"), {**THEIRS, **NEW})),
    "a firewall group in a network of others": call(
        "ec2:CreateSecurityGroup", (ec2("security-group"), NEW), (ec2("vpc"), THEIRS)
    ),
    "a gateway with an address of others": call(
        "ec2:CreateNatGateway", (ec2("natgateway"), NEW), (ec2("subnet"), OURS), (ec2("elastic-ip"), {**THEIRS, **NEW})
    ),
    "a peering with a network of others": call(
        "ec2:CreateVpcPeeringConnection", (ec2("vpc-peering-connection"), NEW), (ec2("vpc"), THEIRS)
    ),
    "a peering of others, accepted": call(
        "ec2:AcceptVpcPeeringConnection", (ec2("vpc-peering-connection"), THEIRS), (ec2("vpc"), OURS)
    ),
    "a route of others": on("ec2:ReplaceRoute", "route-table", THEIRS),
    "a route into a table of others": on("ec2:CreateRoute", "route-table", THEIRS),
    "a table of ours onto a subnet of others": call(
        "ec2:AssociateRouteTable", (ec2("route-table"), OURS), (ec2("subnet"), THEIRS)
    ),
    "an association of others, ended": on("ec2:DisassociateRouteTable", "route-table", THEIRS),
    "a subnet's settings of others": on("ec2:ModifySubnetAttribute", "subnet", THEIRS),
    "a network's settings of others": on("ec2:ModifyVpcAttribute", "vpc", THEIRS),
    "an address of others, taken off": on("ec2:DisassociateAddress", "elastic-ip", THEIRS),
    "an address of others, put on ours": call(
        "ec2:AssociateAddress", (ec2("elastic-ip"), THEIRS), (ec2("instance"), OURS)
    ),
    "an address of others, released": on("ec2:ReleaseAddress", "elastic-ip", THEIRS),
    "our gateway onto a network of others": call(
        "ec2:AttachInternetGateway", (ec2("internet-gateway"), OURS), (ec2("vpc"), THEIRS)
    ),
    # Tag, then delete
    "our tag on a server of others": on("ec2:CreateTags", "instance", NEW),
    "our tag on a network of others": on("ec2:CreateTags", "vpc", NEW),
    "our tag on a balancer of others": call("elasticloadbalancing:AddTags", (BALANCER, NEW)),
    "our tag on a listener of others": call("elasticloadbalancing:AddTags", (LISTENER, NEW)),
    # Balancers of others
    "a balancer of others, deleted": call("elasticloadbalancing:DeleteLoadBalancer", (BALANCER, THEIRS)),
    "a balancer without our tag": call("elasticloadbalancing:CreateLoadBalancer", (BALANCER, THEIRS)),
    "a listener on a balancer of others": call("elasticloadbalancing:CreateListener", (BALANCER, {**THEIRS, **NEW})),
    "targets of others": call("elasticloadbalancing:DeregisterTargets", (GROUP, THEIRS)),
    # Data
    "a bucket that nobody named": call("s3:PutLifecycleConfiguration", ("arn:aws:s3:::other", HERE)),
    "a bucket of another account": call("s3:PutLifecycleConfiguration", (BUCKET, {"aws:ResourceAccount": "1"})),
    "an object of a bucket": call("s3:GetObject", (f"{BUCKET}/base.tar", HERE)),
    "a bucket's policy": call("s3:PutBucketPolicy", (BUCKET, HERE)),
    "a secret among the parameters": call("ssm:GetParameters", (SECRET, {})),
    "a database of others": call("rds:StopDBInstance", (f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:x", THEIRS)),
}


@pytest.fixture(scope="module", params=["alone", "with roles"])
def printed(request: pytest.FixtureRequest) -> dict[str, Any]:
    return policy() if request.param == "alone" else policy(roles=True, buckets=("acme-*",))


@pytest.mark.parametrize("asked", ALLOWED.values(), ids=ALLOWED)
def test_what_the_engine_does_is_allowed(printed: dict[str, Any], asked: Call) -> None:
    assert allows(printed, asked)


@pytest.mark.parametrize("asked", FORBIDDEN.values(), ids=FORBIDDEN)
def test_nobody_gets_more_out_of_it_than_what_is_ours(printed: dict[str, Any], asked: Call) -> None:
    assert not allows(printed, asked)


@pytest.mark.parametrize("asked", WITH_ROLES.values(), ids=WITH_ROLES)
def test_roles_are_made_only_where_they_were_asked_for(asked: Call) -> None:
    assert allows(policy(roles=True), asked)
    assert not allows(policy(), asked)


def test_without_roles_nothing_of_iam_is_written() -> None:
    allowed = {a for s in policy()["Statement"] if s["Effect"] == "Allow" for a in s["Action"]}
    assert {action for action in allowed if action.startswith("iam:")} == {
        "iam:GetAccountAuthorizationDetails",
        "iam:GetInstanceProfile",
    }


def test_buckets_are_changed_by_name_only() -> None:
    asked = call("s3:PutLifecycleConfiguration", (BUCKET, HERE))
    assert not allows(policy(), asked)
    assert allows(policy(buckets=("acme-*",)), asked)


def test_the_masters_role_may_have_another_name() -> None:
    own = call("iam:PassRole", (iam("role/saltlick/control-master"), TO_EC2))
    assert allows(policy(roles=True), own)
    assert not allows(policy(roles=True, master="control-master"), own)


def test_it_has_every_action_of_every_kind() -> None:
    whole = {a for s in policy(roles=True, buckets=("*",))["Statement"] if s["Effect"] == "Allow" for a in s["Action"]}
    assert whole == actions(KINDS.values()) | BEYOND_KINDS


def test_whatever_changes_something_is_bound() -> None:
    """No statement allows a write on everything that there is."""
    for statement in policy(roles=True, buckets=("acme-*",))["Statement"]:
        writes = [a for a in statement["Action"] if not a.partition(":")[2].startswith(("Describe", "Get", "List"))]
        assert not writes or statement["Resource"] != "*" or statement.get("Condition"), statement["Sid"]


def test_it_fits_into_a_role() -> None:
    """Source: IAM User Guide, quotas: 10240 characters for all inline policies of a role."""
    whole = policy(roles=True, buckets=("acme-*", "acme-control-backups"))
    assert len(json.dumps(whole, separators=(",", ":"))) < 10240
