"""Salt finds every loader type of an installed wheel, and of a checkout that nobody installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Run by the environment under test with options for Salt; prints what each of its loaders has of ours, and where from.
PROBE = """
import json, sys
import salt.config, salt.loader
options = json.loads(sys.argv[1])
opts = salt.config.minion_config(None)
opts.update(salt.config.master_config(None), **options)
opts.update(grains={}, pillar={}, file_client="local")
functions = salt.loader.minion_mods(opts)
loaders = {
    "modules": functions,
    "states": salt.loader.states(opts, functions, {}, {}),
    "runners": salt.loader.runner(opts),
    "output": salt.loader.outputters(opts),
}
found = {kind: {} for kind in loaders}
for kind, loader in loaders.items():
    for name in list(loader):
        origin = getattr(sys.modules.get(loader[name].__module__), "__file__", "") or ""
        if any(part in origin for part in json.loads(sys.argv[2])):
            found[kind][name] = origin
print("FOUND" + json.dumps(found))
"""


def probe(python: Path, home: Path, *places: Path, **options: object) -> dict[str, dict[str, str]]:
    """Loader type to our functions there and the files they come from; ours is what lies in one of `places`."""
    folders = {key: str(home / key) for key in ("cachedir", "pki_dir", "root_dir")}
    told = json.dumps({**folders, "extension_modules": str(home / "extmods"), **options})
    done = subprocess.run(
        [python, "-c", PROBE, told, json.dumps([str(place) for place in places])],
        cwd=home,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("FOUND")[2])


@pytest.fixture(scope="module")
def from_wheel(installed, tmp_path_factory) -> dict[str, dict[str, str]]:
    package = Path(installed.run("python", "-c", "import saltlick; print(saltlick.__path__[0])").strip())
    return probe(installed.python, tmp_path_factory.mktemp("wheel"), package)


@pytest.fixture(scope="module")
def from_checkout(checkout, tmp_path_factory) -> dict[str, dict[str, str]]:
    places = [checkout / folder for folder in ("_modules", "_output", "_runners", "_states")]
    return probe(Path(sys.executable), tmp_path_factory.mktemp("checkout"), *places, module_dirs=[str(checkout)])


def test_nothing_of_the_checkout_is_seen(installed, checkout):
    """Otherwise the tests below would prove nothing about the wheel."""
    where = installed.run("python", "-c", "import saltlick; print(saltlick.__file__)")
    assert str(checkout) not in where
    assert str(installed.path) in where


def names(checkout: Path, folder: str) -> set[str]:
    """The modules of a loader folder by virtual name."""
    return {path.stem for path in (checkout / folder).glob("*.py") if not path.stem.startswith("_")}


@pytest.mark.parametrize("source", ["from_wheel", "from_checkout"])
@pytest.mark.parametrize("kind", ["modules", "output", "runners", "states"])
def test_every_loader_type_loads(request, checkout, source, kind):
    found = request.getfixturevalue(source)[kind]
    loaded = {Path(origin).stem for origin in found.values()}
    assert loaded == names(checkout, f"_{kind}"), f"{kind} by {source}"


def test_modules_import_by_the_name_they_have_in_the_wheel(installed, checkout):
    """Their helpers then come from the package; Salt's loader, above, finds them beside the module."""
    for name in names(checkout, "_modules"):
        code = f"import saltlick.modules.{name}, sys; print([name for name in sys.modules if '_saltlick_' in name])"
        told = json.loads(installed.run("python", "-c", code).replace("'", '"'))
        assert all(name.startswith("saltlick.modules._saltlick_") for name in told)
        assert bool(told) == (name in {"backup", "database", "detached", "revision", "saltlick_call"})


@pytest.mark.parametrize("source", ["from_wheel", "from_checkout"])
def test_what_operators_type_is_there(request, source):
    found = request.getfixturevalue(source)
    assert {"environment.plan", "environment.apply", "environment.destroy"} <= set(found["runners"])
    assert {"environment.present", "environment.absent", "environment.admitted"} <= set(found["states"])
    assert {"vpc.present", "ec2.instance_present"} <= set(found["states"])


@pytest.mark.parametrize("name", ["bootstrap", "orch", "salt"])
def test_trees_are_found_in_the_wheel(installed, checkout, name):
    where = Path(installed.run("python", "-c", f"from saltlick.tree import folder; print(folder({name!r}))").strip())
    assert installed.path in where.parents
    assert {path.name for path in where.iterdir()} >= {path.name for path in (checkout / name).iterdir()} - {
        "__pycache__"
    }


def test_links_of_the_state_tree_became_folders(installed):
    """A wheel has no links: what salt/orch and salt/_modules point to is carried as files."""
    where = Path(installed.run("python", "-c", "from saltlick.tree import folder; print(folder('salt'))").strip())
    assert (where / "orch" / "deploy-environment.sls").is_file()
    assert not (where / "orch").is_symlink()


def test_command_line_starts_without_salt_s_help(installed):
    assert "bootstrap" in installed.run("saltlick", "--help")
