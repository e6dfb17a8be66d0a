"""Who may import whom: the walls between the rooms, held by walking every import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.source import CHECKOUT, SOURCE, read

FACES = ("_runners", "_states", "_modules", "_output")


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Each file is read once for all the walls."""
    return tuple(walk(path))


def walk(path: Path) -> Iterator[str]:
    """Every dotted name a file imports, wherever in the file it does so; `from a import b` gives both a and a.b."""
    package = [*path.relative_to(SOURCE.parent).with_suffix("").parts] if SOURCE in path.parents else []
    for node in read(path).imports:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            base = ".".join(package[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def reaches(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def offenders(files: Iterator[Path] | list[Path], *forbidden: str) -> list[str]:
    return [
        f"{path.relative_to(CHECKOUT)} imports {name}"
        for path in files
        for name in imported(path)
        if any(reaches(name, room) for room in forbidden)
    ]


def files_in(*rooms: str) -> list[Path]:
    found = []
    for room in rooms:
        one = SOURCE / f"{room}.py"
        found += [one] if one.exists() else sorted((SOURCE / room).rglob("*.py"))
    return found


def files_outside(*rooms: str) -> list[Path]:
    return sorted(set(SOURCE.rglob("*.py")) - set(files_in(*rooms)))


CORE = (
    "environment",
    "release",
    "backup",
    "refresh",
    "offhours",
    "fleet",
    "jobs",
    "notify",
    "schema",
    "engine",
    "kinds",
    "aws",
    "reference",
)


def test_only_salt_io_and_the_commands_import_salt():
    assert not offenders(files_outside("salt_io", "commands"), "salt")


def test_only_aws_and_the_sandbox_import_boto3():
    """The sandbox *is* AWS there, so it may look at itself through AWS's own client."""
    assert not offenders(files_outside("aws", "sandbox"), "boto3", "botocore")


def test_the_engine_names_no_kind_and_no_aws():
    assert not offenders(files_in("engine"), *(f"saltlick.{room}" for room in CORE if room != "engine"))


@pytest.mark.parametrize("room", CORE)
def test_the_core_knows_nothing_of_its_faces(room):
    faces = ("saltlick.commands", "saltlick.salt_io", "saltlick.cli", "saltlick.sandbox", "salt")
    assert not offenders(files_in(room), *faces)


def test_only_the_command_line_and_the_demo_import_the_sandbox():
    assert not offenders(files_outside("sandbox", "cli", "demo"), "saltlick.sandbox")


def test_the_faces_import_commands_and_nothing_else_of_saltlick():
    """Runners and states call one function of `commands`; `_modules` run on minions, where saltlick is not installed."""
    faces = [path for face in FACES for path in sorted((CHECKOUT / face).glob("*.py"))]
    allowed = {
        "_runners": r"saltlick(\.commands.*)?",
        "_states": r"saltlick(\.commands.*)?",
        "_modules": r"saltlick\.modules(\._saltlick_\w+)?",  # the wheel's name for the folder itself
        "_output": "nothing",
    }
    assert {path.parent.name for path in faces} == allowed.keys()
    for face, pattern in allowed.items():
        imports = offenders([path for path in faces if path.parent.name == face], "saltlick")
        assert not [line for line in imports if not re.search(f" imports {pattern}$", line)]


def test_nothing_makes_the_state_tree_a_package():
    """One `__init__.py` in `salt/` shadows Salt itself for whoever runs Python in the checkout."""
    assert not list((CHECKOUT / "salt").rglob("__init__.py"))


def test_the_walk_sees_imports_of_every_form(tmp_path):
    spot = tmp_path / "spot.py"
    spot.write_text("import salt.key\ndef f():\n    from saltlick import sandbox\n")
    assert list(imported(spot)) == ["salt.key", "saltlick", "saltlick.sandbox"]
