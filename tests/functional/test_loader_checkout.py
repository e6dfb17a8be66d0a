"""Salt's own loaders find every type, from a bare checkout by `module_dirs` and from the entry point alike."""

from __future__ import annotations

import ast
import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
import salt.config
import salt.loader

from saltlick import loader

FOLDERS = {"modules": "_modules", "output": "_output", "runners": "_runners", "states": "_states"}


def functions_of(path: Path) -> set[str]:
    """The public functions of a loader file, as `<file>.<function>`."""
    tree = ast.parse(path.read_text("utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {f"{path.stem}.{name.rstrip('_')}" for name in names if not name.startswith("_")}


def loaded(kind: str, opts: dict[str, Any]) -> Any:
    if kind == "states":
        return salt.loader.states(opts, salt.loader.minion_mods(opts), None, None)
    return {"modules": salt.loader.minion_mods, "runners": salt.loader.runner}[kind](opts)


@pytest.fixture(params=["by module_dirs", "by entry point"])
def opts(request: pytest.FixtureRequest, checkout: Path, tmp_path: Path) -> dict[str, Any]:
    given = salt.config.minion_config(None)
    given.update(root_dir=str(tmp_path), cachedir=str(tmp_path), extension_modules=str(tmp_path / "none"))
    given.update(file_client="local", grains={"id": "one"}, id="one")
    given["module_dirs"] = [str(checkout)] if request.param == "by module_dirs" else []
    if not given["module_dirs"]:
        importlib.metadata.distribution("saltlick")  # its entry point is what this case is about
    return given


@pytest.mark.parametrize("kind", sorted(FOLDERS.keys() - {"output"}))
def test_every_function_loads_and_is_ours(kind, opts, checkout):
    files = [path for path in sorted((checkout / FOLDERS[kind]).glob("*.py")) if not path.stem.startswith("_")]
    assert files
    found = loaded(kind, opts)
    for path in files:
        spot = found.file_mapping.get(path.stem)
        assert spot, f"{path} is not seen"
        assert Path(spot[0]).resolve() == path.resolve()
        missing = {name for name in functions_of(path) if name not in found}
        assert not missing, f"{path} does not load: {found.missing_modules}"


def test_the_outputter_prints_the_text(opts):
    assert salt.loader.outputters(opts)["saltlick_text"]({"text": "a plan", "retcode": 0}) == "a plan"


def test_imports_of_a_face_do_not_become_functions(opts, checkout):
    """`from saltlick… import present` in a states file would make it `ec2.present` for everybody."""
    states = loaded("states", opts)
    for path in sorted((checkout / "_states").glob("*.py")):
        assert all(name in states for name in functions_of(path))  # loads this file, and not all of Salt's
        assert {name for name in states._dict if name.startswith(f"{path.stem}.")} == functions_of(path)


def test_what_the_entry_point_names_exists():
    found = loader.dirs()
    assert found.keys() == FOLDERS.keys()
    for paths in found.values():
        assert [Path(path).is_dir() for path in paths] == [True]
