"""The order of destruction where two objects have the same id: a role and its profile usually share their name."""

from __future__ import annotations

from saltlick.engine.observe import Snapshot
from saltlick.engine.plan import Plan, deletion
from saltlick.engine.resource import Key, Observed
from saltlick.engine.schedule import steps
from saltlick.kinds import KINDS


def observed(address: str, *references: str) -> Observed:
    return Observed(
        key=Key("control", address), properties={}, attributes={"id": "m"}, references=frozenset(references)
    )


def test_a_profile_goes_before_the_role_of_the_same_name() -> None:
    """Found by killing a destroy: AWS refuses to delete a role that a profile holds."""
    profile, role = observed("instance_profile/m", "m"), observed("iam_role/m")
    actions = (deletion(role), deletion(profile))
    plan = Plan(environments=("control",), actions=actions, undeclared=(), missing=(), snapshot=Snapshot())
    found = {step.action.key: step for step in steps(plan, KINDS)}
    assert found[role.key].after == {found[profile.key].name}
    assert found[profile.key].after == frozenset()
