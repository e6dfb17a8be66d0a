"""Judges calls by an IAM policy document, as AWS does it for the operators that ours uses: a deny wins, and each resource
that a call touches has to be allowed with that resource's own tags.

Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "123456789012"
OURS = {"aws:ResourceTag/saltlick:environment": "prod"}
NEW = {"aws:RequestTag/saltlick:environment": "prod"}
PRINCIPAL = {"aws:PrincipalAccount": ACCOUNT}


@dataclass(frozen=True)
class Touched:
    """One resource that a call touches, and what AWS knows when it judges it."""

    arn: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One call to AWS with everything that it touches."""

    action: str
    touched: tuple[Touched, ...]


def call(action: str, *touched: tuple[str, Mapping[str, str]]) -> Call:
    return Call(action, tuple(Touched(arn, context) for arn, context in touched))


def ec2(kind: str) -> str:
    return f"arn:aws:ec2:eu-west-1:{ACCOUNT if kind != 'image' else ''}:{kind}/x-1"


def iam(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{name}"


def allows(policy: Mapping[str, Any], asked: Call) -> bool:
    """Whether the policy allows the call on everything that it touches."""
    return all(_allows(policy, asked.action, one) for one in asked.touched)


def _allows(policy: Mapping[str, Any], action: str, touched: Touched) -> bool:
    fitting = [statement for statement in policy["Statement"] if _fits(statement, action, touched)]
    effects = {statement["Effect"] for statement in fitting}
    return effects == {"Allow"}


def _fits(statement: Mapping[str, Any], action: str, touched: Touched) -> bool:
    return (
        any(_like(pattern.lower(), action.lower()) for pattern in _listed(statement["Action"]))
        and any(_like(pattern, touched.arn) for pattern in _listed(statement["Resource"]))
        and all(
            _judge(operator, key, wanted, {**PRINCIPAL, **touched.context})
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _judge(operator: str, key: str, wanted: Any, context: Mapping[str, str]) -> bool:
    """Whether a condition holds; one that this evaluator does not know is an error, not a guess."""
    if operator == "Null":
        return (key not in context) is (wanted == "true")
    patterns = [_filled(each, context) for each in _listed(wanted)]
    if operator == "StringEquals":
        return context.get(key) in patterns
    if operator == "StringLike":
        return key in context and any(_like(pattern, context[key]) for pattern in patterns)
    raise ValueError(f"unknown operator {operator}")


def _filled(text: str, context: Mapping[str, str]) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda found: context.get(found.group(1), found.group(0)), text)


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch("".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern), text) is not None


def _listed(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
