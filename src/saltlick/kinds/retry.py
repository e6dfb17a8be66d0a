"""Retries calls that AWS refuses while a dependency is still being created or deleted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from saltlick.engine.ports import Cloud
from saltlick.engine.wait import until
from saltlick.errors import AwsError

IN_USE = frozenset({"DependencyViolation"})


def call_when_free(
    cloud: Cloud,
    deadline_s: float,
    codes: Collection[str],
    service: str,
    operation: str,
    /,
    **parameters: Any,
) -> Mapping[str, Any]:
    """Make a call; repeat it while AWS refuses with one of `codes`.

    Raises: WaitTimeout naming the last refusal after `deadline_s`; AwsError for any other refusal.
    """

    answers: list[Mapping[str, Any]] = []

    def refusal() -> str:
        try:
            answers.append(cloud.call(service, operation, **parameters))
        except AwsError as error:
            if error.code not in codes:
                raise
            return str(error)
        return ""

    until(
        refusal,
        lambda refused: not refused,
        what=operation,
        deadline_s=deadline_s,
        clock=cloud.clock,
    )
    return answers[-1]


def delete(
    cloud: Cloud,
    deadline_s: float,
    service: str,
    operation: str,
    /,
    *,
    codes: Collection[str] = IN_USE,
    gone: Collection[str] = (),
    **parameters: Any,
) -> None:
    """Delete something, waiting until nothing uses it any more. Gone already (NotFound, or one of `gone`) is fine.

    Raises: WaitTimeout, AwsError.
    """
    try:
        call_when_free(cloud, deadline_s, codes, service, operation, **parameters)
    except AwsError as error:
        if not error.not_found and error.code not in gone:
            raise
