"""The helpers of execution modules lie beside them and go where they go; the wheel's case is in tests/packaging."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import salt.config
import salt.loader
import salt.utils.extmods
from support import minion_modules

FACES = ("backup", "detached", "revision", "saltlick_call")
MODULES = minion_modules.ROOT / "_modules"
SHA = "f5d98594c2a7e0b1d3f6a8895c4e7b2013d6fa48"


def loaded(folder: Path, **more: Any) -> Any:
    return minion_modules.modules(folder, *FACES, saltlick_jobs_dir=str(folder / "jobs"), **more)


def synced(folder: Path, tree: Path) -> Any:
    """The functions after a sync of that tree, as a minion has them that knows nothing of a checkout."""
    opts = salt.config.DEFAULT_MINION_OPTS.copy()
    opts.update(file_client="local", file_roots={"base": [str(tree)]}, cachedir=str(folder / "cache"))
    opts.update(extension_modules=str(folder / "extmods"), id="test", root_dir=str(folder))
    salt.utils.extmods.sync(opts, "modules")
    return loaded(folder, module_dirs=[])


def helpers(functions: Any) -> dict[str, Path]:
    """The helpers that the faces really use, by name, with the folder each comes from."""
    found: dict[str, Path] = {}
    for face, function in (
        *(("backup", "backup.whose"), ("detached", "detached.list"), ("revision", "revision.list")),
        ("saltlick_call", "saltlick_call.run"),
    ):
        functions[function]
        todo = [sys.modules[name] for name in list(sys.modules) if name.endswith(f".module.{face}")]
        while todo:
            for one in vars(todo.pop()).values():
                name = getattr(one, "__name__", "")
                if isinstance(one, type(sys)) and "_saltlick_" in name and name not in found:
                    found[name] = Path(one.__file__ or "").parent
                    todo.append(one)
    return found


def beside(folder: Path) -> dict[str, Path]:
    """What has to be found where the modules lie in this folder: every helper there is."""
    return {path.stem: folder for path in MODULES.glob("_saltlick_*.py")}


def works(functions: Any, folder: Path) -> None:
    assert functions["revision.list"](str(folder / "app")) == []
    assert functions["revision.mark"](str(folder / "app"), SHA, good=False)["state"] == "absent"
    assert functions["detached.status"]("job")["state"] == "unknown"
    assert functions["backup.whose"]() == {"environment": "", "production": False}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A file root of our own, with the modules as they are."""
    shutil.copytree(MODULES, tmp_path / "tree" / "_modules", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "tree"


def test_in_a_checkout_they_are_found_and_are_no_commands(tmp_path):
    functions = loaded(tmp_path)
    assert helpers(functions) == beside(MODULES)
    assert not [name for name in functions.file_mapping if "_saltlick" in name]
    works(functions, tmp_path)


def test_a_sync_carries_them(tmp_path):
    """From the file root as a master serves it, by its link to `_modules`."""
    functions = synced(tmp_path, minion_modules.ROOT / "salt")
    assert helpers(functions) == beside(tmp_path / "extmods" / "modules")
    works(functions, tmp_path)


def test_a_module_never_gets_the_helpers_of_another_folder(tmp_path, tree):
    """Whatever this process loaded before: a synced copy and an installed one may be of different versions."""
    loaded(tmp_path / "one")["revision.list"](str(tmp_path))
    assert helpers(synced(tmp_path, tree)) == beside(tmp_path / "extmods" / "modules")
    assert helpers(loaded(tmp_path / "two")) == beside(MODULES)


def test_a_sync_brings_new_helpers_into_a_process_that_lives_on(tmp_path, tree):
    synced(tmp_path, tree)["revision.list"](str(tmp_path))
    helper = tree / "_modules" / "_saltlick_revision_folders.py"
    helper.write_text(helper.read_text() + "\n\ndef listed(home):\n    return ['new']\n")
    assert synced(tmp_path, tree)["revision.list"](str(tmp_path)) == ["new"]


@pytest.mark.parametrize("path", sorted(MODULES.glob("*.py")), ids=lambda path: path.stem)
def test_who_imports_a_helper_looks_beside_itself_first(path):
    """And in the package only then: what `saltlick.modules` is there may be of another version."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Try) and any("_saltlick_" in name for name in imports(node.body)):
            assert imports(node.body) == [
                name.removeprefix("saltlick.modules.") for name in imports(node.handlers[0].body)
            ]
    top = imports([*ast.parse(path.read_text("utf-8")).body])
    assert not [name for name in top if "saltlick" in name], "outside of a try"


def imports(nodes: list[Any]) -> list[str]:
    names = [
        (node, alias.name) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names
    ]
    return [f"{node.module}.{name}" if isinstance(node, ast.ImportFrom) else name for node, name in names]
