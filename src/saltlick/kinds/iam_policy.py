"""The minimal IAM policy that Saltlick needs: the union of the kinds' own lists.

Looking is allowed everywhere. Making is, too: what is not there yet has no tag to go by. Changing and deleting is allowed on
objects that carry our tag, where AWS supports it, and on buckets of the same account, but not what is in them. The few
calls that also touch objects without tags (a network
interface, a rule made by hand) are allowed on all.

Whoever may write IAM roles can give themselves more: an account that does not want its Salt master to make roles leaves the
statement `Roles` out, and has `control` built by somebody who may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saltlick.engine.resource import TAG_ENVIRONMENT, Kind

OF_THIS_ACCOUNT: Mapping[str, Any] = {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}
"""Only on buckets of the same account. S3 judges tags of a bucket only where that was switched on for the bucket."""

OURS: Mapping[str, Any] = {"Null": {f"aws:ResourceTag/{TAG_ENVIRONMENT}": "false"}}
"""Only on objects that have our tag."""

ON_OURS = frozenset(
    {
        "autoscaling:ResumeProcesses",
        "autoscaling:SuspendProcesses",
        "ec2:DeleteInternetGateway",
        "ec2:DeleteKeyPair",
        "ec2:DeleteNatGateway",
        "ec2:DeleteRoute",
        "ec2:DeleteRouteTable",
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteSubnet",
        "ec2:DeleteVpc",
        "ec2:DeleteVpcPeeringConnection",
        "ec2:DetachInternetGateway",
        "ec2:ReleaseAddress",
        "ec2:ReplaceRoute",
        "ec2:StartInstances",
        "ec2:StopInstances",
        "ec2:TerminateInstances",
        "elasticloadbalancing:DeleteListener",
        "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:ModifyListener",
        "elasticloadbalancing:ModifyTargetGroup",
        "elasticloadbalancing:ModifyTargetGroupAttributes",
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:SetSecurityGroups",
        "elasticloadbalancing:SetSubnets",
        "rds:StartDBInstance",
        "rds:StopDBInstance",
    }
)
"""Actions that AWS can bind to a tag on everything they touch. Source: "Service Authorization Reference"."""

ROLES_ON_OURS = frozenset(
    {
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:PutRolePolicy",
        "iam:DeleteInstanceProfile",
        "iam:AddRoleToInstanceProfile",
        "iam:RemoveRoleFromInstanceProfile",
    }
)

OFF_HOURS = frozenset(
    {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:ResumeProcesses",
        "autoscaling:SuspendProcesses",
        "ec2:DescribeInstances",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ec2:StartInstances",
        "ec2:StopInstances",
        "rds:DescribeDBInstances",
        "rds:StartDBInstance",
        "rds:StopDBInstance",
    }
)
"""What Cloud Custodian and Saltlick need to switch environments off and on."""

BEYOND_KINDS = frozenset({"ec2:GetConsoleOutput"}) | OFF_HOURS
"""What else a Salt master asks AWS: the console, on which a new server tells its key's fingerprint; and nights off."""

SPECIAL: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "ec2:CreateTags": (
        {"Null": {"ec2:CreateAction": "false"}},  # tags in the call that makes the object
        OURS,
    ),
    "iam:PassRole": ({"StringEqualsIfExists": {"iam:PassedToService": "ec2.amazonaws.com"}},),
    "iam:CreateServiceLinkedRole": ({"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},),
}
"""Actions that are allowed under conditions of their own; each condition is one way."""


def actions(kinds: Iterable[Kind]) -> frozenset[str]:
    """Every IAM action that any of the kinds needs for anything."""
    return frozenset(action for kind in kinds for granted in kind.iam.values() for action in granted)


def reads_only(action: str) -> bool:
    """Whether an IAM action changes nothing."""
    return action.partition(":")[2].startswith(("Describe", "Get", "List"))


def policy(kinds: Mapping[str, Kind] | None = None) -> dict[str, Any]:
    """The policy document that suffices to observe, create, update and destroy objects of these kinds (of all)."""
    from saltlick.kinds import KINDS

    every = actions((KINDS if kinds is None else kinds).values()) | BEYOND_KINDS
    reads = {action for action in every if reads_only(action)}
    rest = every - reads - set(SPECIAL)
    roles = {action for action in rest if action.startswith("iam:")}
    buckets = {action for action in rest if action.startswith("s3:")} - {"s3:CreateBucket"}
    statements = [
        _allow("Look", reads),
        _allow("Make", rest - roles - buckets - ON_OURS),
        _allow("ChangeOurs", rest & ON_OURS, OURS),
        _allow("ChangeBuckets", buckets, OF_THIS_ACCOUNT),
        _allow("Roles", roles - ROLES_ON_OURS),
        _allow("ChangeOurRoles", roles & ROLES_ON_OURS, OURS),
        *_special(every),
    ]
    return {"Version": "2012-10-17", "Statement": [s for s in statements if s["Action"]]}


def _special(every: frozenset[str]) -> list[dict[str, Any]]:
    return [
        _allow(f"{action.partition(':')[2]}{number or ''}", {action}, condition)
        for action, conditions in SPECIAL.items()
        if action in every
        for number, condition in enumerate(conditions)
    ]


def _allow(name: str, allowed: Iterable[str], condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    statement = {"Sid": name, "Effect": "Allow", "Action": sorted(allowed), "Resource": "*"}
    return statement | ({"Condition": dict(condition)} if condition else {})
