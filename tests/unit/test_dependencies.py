"""Every declared dependency is imported somewhere in src: what nothing needs is not installed on a master."""

from __future__ import annotations

import ast
import importlib.metadata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from support.source import SOURCE, read

EXTRAS = ("", "salt", "sandbox")


def declared() -> set[NormalizedName]:
    """The distributions that an installation with these extras pulls in by name."""
    requirements = [Requirement(text) for text in importlib.metadata.requires("saltlick") or ()]
    return {
        canonicalize_name(requirement.name)
        for requirement in requirements
        if any(requirement.marker is None or requirement.marker.evaluate({"extra": extra}) for extra in EXTRAS)
    }


def import_names(distribution: NormalizedName) -> set[str]:
    """The top-level packages of a distribution: pyyaml is imported as yaml."""
    return {package for package, owners in packages().items() if distribution in map(canonicalize_name, owners)}


@cache
def packages() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@cache
def imported() -> frozenset[str]:
    return frozenset(name for path in SOURCE.rglob("*.py") for name in imports_of(path))


def imports_of(path: Path) -> Iterator[str]:
    for node in read(path).imports:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("distribution", sorted(declared()))
def test_a_declared_dependency_is_imported(distribution: NormalizedName) -> None:
    assert import_names(distribution) & imported(), f"pyproject.toml declares {distribution}; nothing in src imports it"


def test_the_declaration_is_read() -> None:
    assert {"boto3", "click", "salt", "docker", "moto"} <= declared()
    assert "pytest" not in declared()
