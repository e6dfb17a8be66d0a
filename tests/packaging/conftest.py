"""The wheel and the sdist of this checkout, built once; the wheel installed in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Built:
    """What `python -m build` made."""

    sdist: Path
    wheel: Path


@dataclass(frozen=True)
class Installed:
    """A fresh virtual environment with the wheel in it, and nothing of the checkout in sight."""

    path: Path

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    def run(self, *command: str | Path, **variables: str) -> str:
        """The output of a command from that environment; fails with what it wrote."""
        done = subprocess.run(
            [self.path / "bin" / command[0], *command[1:]],
            cwd=self.path,
            env={**os.environ, "PATH": f"{self.path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": "", **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Built:
    """An sdist of what git tracks, and a wheel built from that sdist, as an index would get them."""
    source = tmp_path_factory.mktemp("source") / "saltlick"
    copy_tracked(checkout, source)
    target = tmp_path_factory.mktemp("dist")
    build(source, target)
    return Built(next(target.glob("*.tar.gz")), next(target.glob("*.whl")))


def copy_tracked(checkout: Path, target: Path) -> None:
    """Copy what a clone would have, links kept as links; without git (an unpacked sdist) everything."""
    if not (checkout / ".git").exists():
        shutil.copytree(checkout, target, symlinks=True)
        return
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (checkout / name).is_symlink() or (checkout / name).exists():
            shutil.copy2(checkout / name, path, follow_symlinks=False)


def build(source: Path, target: Path) -> None:
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)])


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Installed:
    """The wheel with its `salt` extra in a fresh environment: by pip, or by uv where the setup used it."""
    path = tmp_path_factory.mktemp("installed")
    uv = Path(sys.executable).with_name("uv")
    venv.create(path, with_pip=not uv.exists())
    here = Installed(path)
    constraints = str(checkout / "requirements" / f"salt-{version('salt').partition('.')[0]}.txt")
    what = f"saltlick[salt] @ {built.wheel.as_uri()}"
    if uv.exists():
        how = [str(uv), "pip", "install", "--quiet", "--python", str(path / "bin/python")]
        run([*how, "--constraint", constraints, "--build-constraint", constraints, what])
    else:
        here.run(
            *("python", "-m", "pip", "install", "--quiet", "--no-compile", what),
            PIP_CONSTRAINT=constraints,
            PIP_BUILD_CONSTRAINT=constraints,
        )
    return here
