"""A role that servers take on, with one inline policy. IAM is global: its names are unique in the account.

Creating it and giving it its policy are two calls; a cut-off one shows `policy` as missing, and update writes it. IAM has
no look-up by tag, and asking by name would be two calls a role and never find one that is no longer wanted: so all roles
of the account are read at once, and those tagged as ours picked out. A role that has a wanted name and is not tagged as
Saltlick's is foreign and stays untouched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import (
    Attributes,
    Key,
    Kind,
    Observed,
    Properties,
    Resource,
    Scope,
    Wanted,
    immutable,
    mutable,
    noted,
)
from saltlick.kinds import retry, tags
from saltlick.kinds.iam_policy import PATH

ASSUMED_BY_EC2 = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


@dataclass(frozen=True, kw_only=True)
class IamRoleProperties(Properties):
    role_name: str = immutable("Its name in AWS, unique in the account.")
    policy: str = mutable("What it may do: a policy document as JSON text, 10240 characters at most.")
    policy_name: str = immutable("The name of that inline policy.", default="saltlick")
    boundary: str | None = noted("ARN of the managed policy that bounds what it may do at most.", default=None)


class IamRole(Kind):
    """Source: IAM CreateRole, PutRolePolicy, GetAccountAuthorizationDetails, DeleteRolePolicy, DeleteRole."""

    name = "iam_role"
    properties = IamRoleProperties
    attributes = frozenset({"id", "arn"})
    iam: ClassVar = {
        "observe": ("iam:GetAccountAuthorizationDetails",),
        "create": ("iam:CreateRole", "iam:TagRole", "iam:PutRolePolicy"),
        "update": ("iam:PutRolePolicy", "iam:TagRole"),
        "destroy": ("iam:DeleteRolePolicy", "iam:DeleteRole"),
    }
    destroy_after = frozenset({"instance_profile"})
    """Its profile usually has its name, which is the id of both: a reference between equal ids orders nothing."""

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for key, object_tags, role in our_roles(reading, scope):
            yield _observed(scope.wanted.get(key), key, role, object_tags)

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        boundary = wanted.properties.boundary
        answer = cloud.call(
            "iam",
            "create_role",
            Path=PATH,
            RoleName=wanted.properties.role_name,
            AssumeRolePolicyDocument=ASSUMED_BY_EC2,
            Tags=tags.as_list(wanted.tags),
            **({"PermissionsBoundary": boundary} if boundary else {}),
        )
        _put_policy(cloud.patient(wanted.deadline_s), wanted.properties)
        return {"id": answer["Role"]["RoleName"], "arn": answer["Role"]["Arn"]}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "policy" in fields:
            _put_policy(cloud, wanted.properties)
        if "tags" in fields:
            cloud.call("iam", "tag_role", RoleName=observed.id, Tags=tags.as_list(wanted.tags))
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Delete its policy first. AWS refuses a role with further policies attached by hand; the error names them."""
        retry.delete(
            cloud,
            deadline_s,
            "iam",
            "delete_role_policy",
            RoleName=observed.id,
            PolicyName=observed.properties["policy_name"],
        )
        retry.delete(cloud, deadline_s, "iam", "delete_role", codes=(), RoleName=observed.id)

    def normalise(self, field_name: str, value: Any) -> Any:
        return _canonical(json.loads(value)) if field_name == "policy" else value


def our_roles(reading: Reading, scope: Scope) -> Iterator[tuple[Key, dict[str, str], tags.Item]]:
    """The roles of the scope's environments, with their policies and the instance profiles they are in."""
    roles = reading.read("iam", "get_account_authorization_details", "RoleDetailList", Filter=["Role"])
    return tags.found(roles, scope, IamRole.name)


def _observed(resource: Resource | None, key: Key, role: tags.Item, object_tags: dict[str, str]) -> Observed:
    policies = {policy["PolicyName"]: policy["PolicyDocument"] for policy in role.get("RolePolicyList", ())}
    policy_name = _policy_name(resource, policies)
    return Observed(
        key=key,
        properties={
            "role_name": role["RoleName"],
            "policy": _canonical(policies[policy_name]) if policy_name in policies else None,
            "policy_name": policy_name,
            **({"boundary": bound["PermissionsBoundaryArn"]} if (bound := role.get("PermissionsBoundary")) else {}),
        },
        attributes={"id": role["RoleName"], "arn": role["Arn"]},
        tags=object_tags,
    )


def _policy_name(resource: Resource | None, policies: Mapping[str, Any]) -> str:
    """Which of its policies is the one we gave it: the wanted one; of a role no longer wanted, the one it has."""
    if resource is not None:
        return cast("IamRoleProperties", resource.properties).policy_name
    return next(iter(sorted(policies)), "saltlick")


def _put_policy(cloud: Cloud, properties: IamRoleProperties) -> None:
    cloud.call(
        "iam",
        "put_role_policy",
        RoleName=properties.role_name,
        PolicyName=properties.policy_name,
        PolicyDocument=_canonical(json.loads(properties.policy)),
    )


def _canonical(document: Any) -> str:
    """The same policy is the same text."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
