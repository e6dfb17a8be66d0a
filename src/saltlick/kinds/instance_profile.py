"""Attaches a role to a server. IAM is global: its names are unique in the account, and one profile holds one role.

Creating it and putting the role in are two calls; a cut-off one shows `role` as missing, and update puts it in. EC2 hears of
a new profile some seconds after IAM has made it; starting a server waits for that. IAM has no look-up by tag: profiles are
looked at by the names that are wanted and by those that hold a role of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, cast

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
)
from saltlick.errors import AwsError
from saltlick.kinds import retry, tags
from saltlick.kinds.iam_policy import PATH
from saltlick.kinds.iam_role import our_roles


@dataclass(frozen=True, kw_only=True)
class InstanceProfileProperties(Properties):
    profile_name: str = immutable("Its name in AWS, unique in the account.")
    role: Text = mutable("The name of the role in it.")


class InstanceProfile(Kind):
    """Source: IAM CreateInstanceProfile, AddRoleToInstanceProfile, GetInstanceProfile, DeleteInstanceProfile."""

    name = "instance_profile"
    properties = InstanceProfileProperties
    attributes = frozenset({"id", "arn"})
    iam: ClassVar = {
        "observe": ("iam:GetInstanceProfile", "iam:GetAccountAuthorizationDetails"),
        "create": (
            "iam:CreateInstanceProfile",
            "iam:TagInstanceProfile",
            "iam:AddRoleToInstanceProfile",
            "iam:PassRole",
        ),
        "update": (
            "iam:AddRoleToInstanceProfile",
            "iam:RemoveRoleFromInstanceProfile",
            "iam:TagInstanceProfile",
            "iam:PassRole",
        ),
        "destroy": ("iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"),
    }
    destroy_after = frozenset({"instance"})

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for name in sorted(_names(reading, scope)):
            profiles = _named(reading, name)
            for key, object_tags, profile in tags.found(profiles, scope, self.name):
                yield _observed(key, profile, object_tags)

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        answer = cloud.call(
            "iam",
            "create_instance_profile",
            Path=PATH,
            InstanceProfileName=wanted.properties.profile_name,
            Tags=tags.as_list(wanted.tags),
        )
        profile = answer["InstanceProfile"]
        _add_role(cloud.patient(wanted.deadline_s), profile["InstanceProfileName"], wanted.properties.role)
        return {"id": profile["InstanceProfileName"], "arn": profile["Arn"]}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "role" in fields:
            _remove_role(cloud, observed, wanted.deadline_s)
            _add_role(cloud, observed.id, wanted.properties.role)
        if "tags" in fields:
            cloud.call(
                "iam",
                "tag_instance_profile",
                InstanceProfileName=observed.id,
                Tags=tags.as_list(wanted.tags),
            )
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        _remove_role(cloud, observed, deadline_s)
        retry.delete(cloud, deadline_s, "iam", "delete_instance_profile", codes=(), InstanceProfileName=observed.id)


def _names(reading: Reading, scope: Scope) -> set[str]:
    wanted = {
        cast("InstanceProfileProperties", resource.properties).profile_name
        for resource in scope.of_kind(InstanceProfile.name)
    }
    holding = (held for _, _, role in our_roles(reading, scope) for held in role.get("InstanceProfileList", ()))
    return wanted | {profile["InstanceProfileName"] for profile in holding}


def _named(reading: Reading, name: str) -> tuple[tags.Item, ...]:
    try:
        return reading.read("iam", "get_instance_profile", "InstanceProfile", InstanceProfileName=name)
    except AwsError as error:
        if error.not_found:
            return ()
        raise


def _observed(key: Key, profile: tags.Item, object_tags: dict[str, str]) -> Observed:
    roles = [role["RoleName"] for role in profile.get("Roles", ())]
    return Observed(
        key=key,
        properties={"profile_name": profile["InstanceProfileName"], "role": next(iter(roles), None)},
        attributes={"id": profile["InstanceProfileName"], "arn": profile["Arn"]},
        references=frozenset(roles),
        tags=object_tags,
    )


def _add_role(cloud: Cloud, profile_name: str, role: str) -> None:
    cloud.call("iam", "add_role_to_instance_profile", InstanceProfileName=profile_name, RoleName=role)


def _remove_role(cloud: Cloud, observed: Observed, deadline_s: float) -> None:
    role = observed.properties["role"]
    if role:
        retry.delete(
            cloud,
            deadline_s,
            "iam",
            "remove_role_from_instance_profile",
            codes=(),
            InstanceProfileName=observed.id,
            RoleName=role,
        )
