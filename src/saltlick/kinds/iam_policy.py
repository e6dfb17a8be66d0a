"""The least IAM policy that Saltlick needs: every action of the kinds, each bound to what is ours.

Reading is allowed everywhere. A create has to put our tag onto what it makes, and what it makes it in has to be ours. Changing
and deleting needs our tag on every object that the call touches, and our tag can only be put onto an object in the call that
makes it. What has no tags that AWS judges is bound by name: roles by their path, buckets by the names that the caller gives.

Without `roles` there is no write to IAM in it, and no PassRole: such a master launches servers without instance profiles only.
With `roles` it makes roles at the path `/saltlick/`, each under the account's permissions boundary, never its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saltlick.engine.resource import TAG_ENVIRONMENT, Kind

Condition = Mapping[str, Mapping[str, str]]

PATH = "/saltlick/"
"""Roles and instance profiles live here; the policy knows them by nothing else."""

MASTER = "salt-master"
"""The name of the master's own role, where nobody says another."""

BOUNDARY = "saltlick/boundary"
"""The managed policy that bounds every role the master makes: `arn:aws:iam::<account>:policy/saltlick/boundary`."""

ANY: Condition = {}
OURS: Condition = {"Null": {f"aws:ResourceTag/{TAG_ENVIRONMENT}": "false"}}
"""Only on objects that have our tag."""
NEW: Condition = {"Null": {f"aws:RequestTag/{TAG_ENVIRONMENT}": "false"}}
"""Only where the call puts our tag onto what it makes."""
OF_THIS_ACCOUNT: Condition = {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}
"""Only on buckets of the same account. S3 judges tags of a bucket only where that was switched on for the bucket."""

ON_OURS = frozenset(
    {
        "autoscaling:ResumeProcesses",
        "autoscaling:SuspendProcesses",
        "ec2:AcceptVpcPeeringConnection",
        "ec2:AssociateAddress",
        "ec2:AssociateIamInstanceProfile",
        "ec2:AssociateRouteTable",
        "ec2:AttachInternetGateway",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateRoute",
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
        "ec2:DisassociateAddress",
        "ec2:DisassociateRouteTable",
        "ec2:GetConsoleOutput",
        "ec2:ModifyInstanceAttribute",
        "ec2:ModifySubnetAttribute",
        "ec2:ModifyVpcAttribute",
        "ec2:ReleaseAddress",
        "ec2:ReplaceIamInstanceProfileAssociation",
        "ec2:ReplaceRoute",
        "ec2:ReplaceRouteTableAssociation",
        "ec2:RevokeSecurityGroupIngress",
        "ec2:StartInstances",
        "ec2:StopInstances",
        "ec2:TerminateInstances",
        "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        "elasticloadbalancing:CreateListener",
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
"""Actions that touch existing objects only. Source: "Service Authorization Reference", which also has the types below."""

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


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One way in which actions are allowed. An action of several resource types needs a rule that fits each of them."""

    name: str
    actions: frozenset[str]
    resources: tuple[str, ...] = ("*",)
    condition: Condition = field(default_factory=dict)


def actions(kinds: Iterable[Kind]) -> frozenset[str]:
    """Every IAM action that any of the kinds needs for anything."""
    return frozenset(action for kind in kinds for granted in kind.iam.values() for action in granted)


def reads_only(action: str) -> bool:
    """Whether an IAM action changes nothing."""
    return action.partition(":")[2].startswith(("Describe", "Get", "List"))


def policy(
    kinds: Mapping[str, Kind] | None = None,
    *,
    roles: bool = False,
    buckets: Sequence[str] = (),
    master: str = MASTER,
    boundary: str = BOUNDARY,
) -> dict[str, Any]:
    """The policy document that suffices to observe, create, update and destroy objects of these kinds (of all).

    `roles` adds roles and instance profiles at our path; `buckets` are names in S3, with `*` for any text, that may be made and
    changed; `master` is the name of the master's own role, `boundary` the path and name of the permissions boundary.
    """
    from saltlick.kinds import KINDS

    every = actions((KINDS if kinds is None else kinds).values()) | BEYOND_KINDS
    rules = [*_objects(every), *(_buckets(every, buckets) if buckets else ()), *(_roles(boundary) if roles else ())]
    allowed = [_allow(rule, rule.actions & every) for rule in rules]
    statements = [*(statement for statement in allowed if statement["Action"]), _never_itself(master)]
    return {"Version": "2012-10-17", "Statement": statements}


def _objects(every: frozenset[str]) -> Iterator[Grant]:
    reads = frozenset(action for action in every if reads_only(action)) - ON_OURS - {"ssm:GetParameters"}
    yield Grant(name="Look", actions=reads)
    published = "arn:aws:ssm:*:*:parameter/aws/service/*"
    yield Grant(name="LookUpImages", actions=frozenset({"ssm:GetParameters"}), resources=(published,))
    yield Grant(name="ChangeOurs", actions=ON_OURS, condition=OURS)
    yield from _creates()
    yield from _tags()


def _creates() -> Iterator[Grant]:
    """No rule holds a type that one of its actions also takes as the place to make something in."""
    alone = _ec2("CreateVpc", "CreateInternetGateway", "AllocateAddress", "ImportKeyPair")
    within = _ec2("CreateSubnet", "CreateRouteTable", "CreateSecurityGroup", "CreateVpcPeeringConnection")
    deeper = _ec2("CreateNatGateway", "RunInstances")
    yield _make("Make", alone, "vpc", "internet-gateway", "elastic-ip", "key-pair")
    yield _make("MakeInNetworks", within, "subnet", "route-table", "security-group", "vpc-peering-connection")
    yield _make("MakeInSubnets", deeper, "natgateway", "instance", "volume", "network-interface")
    places = _types("vpc", "subnet", "elastic-ip", "security-group")
    yield Grant(name="WithinOurs", actions=within | deeper, resources=places, condition=OURS)
    yield Grant(name="FromImages", actions=_ec2("RunInstances"), resources=_types("image", "key-pair"))
    # A rule has no tag where somebody made it by hand; its group, which AWS judges too, has to be ours.
    on_groups = _ec2("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress")
    yield Grant(name="RulesOfOurs", actions=on_groups, resources=_types("security-group-rule"))
    balancing = frozenset({"elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"})
    kept = ("loadbalancer/app/*", "targetgroup/*")
    arns = tuple(f"arn:aws:elasticloadbalancing:*:*:{each}" for each in kept)
    yield Grant(name="MakeBalancers", actions=balancing, resources=arns, condition=NEW)


def _tags() -> Iterator[Grant]:
    """Tags are put in the call that makes the object, or onto what is ours already: nothing becomes ours later."""
    for action, key in (("ec2:CreateTags", "ec2"), ("elasticloadbalancing:AddTags", "elasticloadbalancing")):
        made = {"Null": {f"{key}:CreateAction": "false"}}
        yield Grant(name=f"TagNew{key.title()}", actions=frozenset({action}), condition=made)
        yield Grant(name=f"TagOurs{key.title()}", actions=frozenset({action}), condition=OURS)


def _buckets(every: frozenset[str], names: Sequence[str]) -> Iterator[Grant]:
    arns = tuple(f"arn:aws:s3:::{name}" for name in names)
    changing = frozenset(action for action in every if action.startswith("s3:") and not reads_only(action))
    yield Grant(name="MakeBuckets", actions=frozenset({"s3:CreateBucket"}), resources=arns)
    yield Grant(name="ChangeBuckets", actions=changing - {"s3:CreateBucket"}, resources=arns, condition=OF_THIS_ACCOUNT)


def _roles(boundary: str) -> Iterator[Grant]:
    """Source: IAM User Guide, "Permissions boundaries for IAM entities", which also has these condition keys."""
    bound = {"StringEquals": {"iam:PermissionsBoundary": f"arn:aws:iam::${{aws:PrincipalAccount}}:policy/{boundary}"}}
    on_roles, on_profiles = (f"arn:aws:iam::*:{each}{PATH}*" for each in ("role", "instance-profile"))
    elb = "elasticloadbalancing.amazonaws.com"
    yield Grant(name="MakeRoles", actions=_iam("CreateRole"), resources=(on_roles,), condition={**bound, **NEW})
    yield Grant(name="BoundRoles", actions=_iam("PutRolePolicy"), resources=(on_roles,), condition={**bound, **OURS})
    deletes = _iam("DeleteRole", "DeleteRolePolicy")
    yield Grant(name="ChangeOurRoles", actions=deletes, resources=(on_roles,), condition=OURS)
    yield Grant(name="TagRoles", actions=_iam("TagRole"), resources=(on_roles,))
    yield Grant(name="Profiles", actions=_PROFILES, resources=(on_profiles,))
    to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    yield Grant(name="PassRoles", actions=_iam("PassRole"), resources=(on_roles,), condition=to_ec2)
    yield Grant(
        name="BalancersRole",
        actions=_iam("CreateServiceLinkedRole"),
        resources=(f"arn:aws:iam::*:role/aws-service-role/{elb}/*",),
        condition={"StringEquals": {"iam:AWSServiceName": elb}},
    )


def _never_itself(master: str) -> dict[str, Any]:
    """A deny wins over every allow, also over those of other policies that somebody attaches to the master's role."""
    changing = ("Add", "Attach", "Create", "Delete", "Detach", "PassRole", "Put", "Remove", "Tag", "Untag", "Update")
    own = [f"arn:aws:iam::*:{each}{PATH}{master}" for each in ("role", "instance-profile")]
    denied = [f"iam:{verb}" if verb == "PassRole" else f"iam:{verb}*" for verb in changing]
    return {"Sid": "NeverItself", "Effect": "Deny", "Action": denied, "Resource": own}


def _make(name: str, granted: frozenset[str], *types: str) -> Grant:
    return Grant(name=name, actions=granted, resources=_types(*types), condition=NEW)


def _types(*names: str) -> tuple[str, ...]:
    return tuple(f"arn:aws:ec2:*:*:{name}/*" if name != "image" else "arn:aws:ec2:*::image/*" for name in names)


def _ec2(*names: str) -> frozenset[str]:
    return frozenset(f"ec2:{name}" for name in names)


def _iam(*names: str) -> frozenset[str]:
    return frozenset(f"iam:{name}" for name in names)


_PROFILES = _iam(
    "AddRoleToInstanceProfile",
    "CreateInstanceProfile",
    "DeleteInstanceProfile",
    "RemoveRoleFromInstanceProfile",
    "TagInstanceProfile",
)


def _allow(rule: Grant, allowed: Iterable[str]) -> dict[str, Any]:
    resources = rule.resources[0] if len(rule.resources) == 1 else list(rule.resources)
    statement = {"Sid": rule.name, "Effect": "Allow", "Action": sorted(allowed), "Resource": resources}
    return statement | (
        {"Condition": {key: dict(value) for key, value in rule.condition.items()}} if rule.condition else {}
    )
