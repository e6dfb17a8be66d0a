"""Whether a well-formed environment makes sense, in itself and beside its peers. All problems, never only one."""

from __future__ import annotations

from collections.abc import Mapping

from saltlick.errors import Problem
from saltlick.spec.model import Environment


def own_problems(environment: Environment) -> tuple[Problem, ...]:
    return ()


def check(environment: Environment, peers: Mapping[str, Environment]) -> None:
    """Holds an environment against its peers.

    Raises:
        InvalidInput: with every problem, each with its path.
    """
