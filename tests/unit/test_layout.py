"""The layout: one feature, one name in every layer; features stand on the shared floors and not on each other."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.source import CHECKOUT, SOURCE, read

FEATURES = ("environment", "release", "backup", "refresh", "offhours", "database")
FLOORS = ("fleet", "jobs", "notify", "schema", "engine", "kinds", "aws")
BELOW = {"refresh": {"backup"}}
"""The one feature that stands on another: a refresh restores a backup."""
DECLARED = "saltlick.environment.pillar"
"""What an environment is, every feature and the fleet have to know."""


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


@cache
def imports(path: Path) -> tuple[str, ...]:
    """The modules of ours that a file imports, for types too."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in read(path).imports:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("saltlick"):
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in modules() else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("saltlick"))


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def offending(importer: str, allowed: set[str]) -> list[str]:
    return [
        f"{module} imports {other}"
        for module, path in modules().items()
        if room(module) == importer
        for other in imports(path)
        if room(other) in FEATURES and room(other) not in allowed and not f"{other}.".startswith(f"{DECLARED}.")
    ]


def calls(name: str) -> list[str]:
    """The files that call a name (`SaltFleet`, `sqlite3.connect`)."""
    return sorted(module for module, path in modules().items() if name in read(path).calls)


@pytest.mark.parametrize("feature", FEATURES)
def test_no_feature_imports_another(feature: str) -> None:
    assert not offending(feature, {feature} | BELOW.get(feature, set()))


@pytest.mark.parametrize("floor", FLOORS)
def test_shared_floors_import_no_feature(floor: str) -> None:
    assert not offending(floor, set())


def test_no_import_circles() -> None:
    """Depth first over all imports, those for types included: a module that is met again on its own way is a circle."""
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, f"a circle: {' -> '.join(way[way.index(module) :])} -> {module}"
        if module in done:
            return
        for other in imports(modules()[module]):
            if other in modules() and other != module:
                walk(other, (*way, module))
        done.add(module)

    for module in modules():
        walk(module, ())


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("SaltFleet", ["saltlick.commands.context"]),
        ("MasterFleet", ["saltlick.commands.context"]),
        ("SecretResolvingFleet", ["saltlick.commands.context"]),
        ("SealingFleet", ["saltlick.commands.context"]),
        ("sqlite3.connect", ["saltlick.jobs.store"]),
        ("locked_job", ["saltlick.commands.job"]),
        ("signal.signal", ["saltlick.jobs.signals", "saltlick.sandbox.serve"]),
    ],
)
def test_one_place_makes_it(name: str, place: list[str]) -> None:
    assert calls(name) == place


DECLARED_FEATURES = tuple(feature for feature in FEATURES if feature != "database")
"""Features with pillar and states of their own: a database is declared by its formula, and nothing orchestrates it."""


@pytest.mark.parametrize("feature", DECLARED_FEATURES)
def test_the_same_stem_in_every_layer(feature: str) -> None:
    orchestrations = {path.stem for path in (CHECKOUT / "orch").glob("*.sls")}
    expected = (
        CHECKOUT / f"_runners/{feature}.py",
        CHECKOUT / f"_states/{feature}.py",
        CHECKOUT / f"docs/{feature}.md",
        SOURCE / f"commands/{feature}/commands.py",
        SOURCE / f"commands/{feature}/states.py",
        SOURCE / f"{feature}/pillar",
        CHECKOUT / f"tests/unit/{feature}",
        CHECKOUT / f"tests/functional/{feature}",
    )
    assert not [str(path.relative_to(CHECKOUT)) for path in expected if not path.exists()]
    assert any(name == feature or name.endswith(f"-{feature}") for name in orchestrations)


def test_a_class_name_stands_for_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module, path in modules().items():
        for name in read(path).classes:
            if not name.startswith("_"):
                places[name].append(module)
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_every_folder_says_what_it_holds() -> None:
    assert not [str(path.relative_to(CHECKOUT)) for path in SOURCE.rglob("__init__.py") if not read(path).docstring]


def test_every_test_file_has_a_name_of_its_own() -> None:
    """pytest imports test files by their stem alone: two of one name cannot be collected together."""
    names = Counter(path.name for path in (CHECKOUT / "tests").rglob("test_*.py"))
    assert not [name for name, count in names.items() if count > 1]
